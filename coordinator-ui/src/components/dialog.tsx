/** A dialog over the page: its title, and the way out. */
import { CloseButton, Group, Modal, Text } from '@mantine/core'
import type { ReactNode } from 'react'

export interface DialogProps {
  readonly title: string
  readonly onClose: () => void
  /** Over the whole page. */
  readonly isLarge?: boolean
  readonly children: ReactNode
}

export function Dialog({ title, onClose, isLarge = false, children }: DialogProps) {
  return (
    <Modal.Root opened onClose={onClose} size="lg" fullScreen={isLarge} centered={!isLarge}>
      <Modal.Overlay />
      {/* Named here: the library's own title is a second banner of the page to screen readers. */}
      <Modal.Content aria-label={title}>
        <Modal.Body p="md">
          <Group justify="space-between" mb="md" wrap="nowrap">
            <Text fw={600}>{title}</Text>
            <CloseButton aria-label="Close" onClick={onClose} />
          </Group>
          {children}
        </Modal.Body>
      </Modal.Content>
    </Modal.Root>
  )
}
