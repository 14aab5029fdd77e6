/** Copies a text, also where the browser's clipboard is closed: a page of a LAN is plain http. */
import { Button } from '@mantine/core'
import { IconCheck, IconCopy } from '@tabler/icons-react'
import { useState } from 'react'

export interface CopyProps {
  readonly text: string
  readonly label?: string
  readonly size?: 'xs' | 'sm'
}

export function Copy({ text, label = 'Copy', size = 'sm' }: CopyProps) {
  const [isCopied, setCopied] = useState(false)
  return (
    <Button
      size={size}
      variant="default"
      leftSection={isCopied ? <IconCheck size={16} /> : <IconCopy size={16} />}
      onClick={async () => {
        await copy(text)
        setCopied(true)
        setTimeout(() => setCopied(false), 2000)
      }}
    >
      {isCopied ? 'Copied' : label}
    </Button>
  )
}

async function copy(text: string): Promise<void> {
  if (window.isSecureContext) return navigator.clipboard.writeText(text)
  const area = document.createElement('textarea')
  area.value = text
  // Inside the dialog that may be open: it holds the focus.
  const place = document.querySelector('[role="dialog"]') ?? document.body
  place.append(area)
  area.select()
  document.execCommand('copy')
  area.remove()
}
