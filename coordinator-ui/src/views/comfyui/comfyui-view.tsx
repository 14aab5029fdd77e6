/** The official ComfyUI frontend, where the user has one: on this agent, with the same queue. */
import { Text } from '@mantine/core'
import { useEffect, useRef } from 'react'
import { useHealth } from '../../api/health.ts'
import { at } from '../../api/http.ts'
import { handover, openInFrontend } from './handover.ts'

export default function ComfyuiView() {
  const health = useHealth()
  if (health === undefined) return <div className="page" />
  if (health.frontend === undefined) {
    return (
      <div className="page">
        <Text>
          No ComfyUI frontend is set up here. Start the agent with --frontend and the folder of the
          Python package comfyui-frontend-package.
        </Text>
      </div>
    )
  }
  // Relative, as everything: the page may lie below a path of a reverse proxy.
  return <Frontend address={at(health.frontend.slice(1))} />
}

function Frontend({ address }: { readonly address: string }) {
  const frame = useRef<HTMLIFrameElement>(null)
  useEffect(() => {
    const name = handover.get()
    if (name === undefined || frame.current === null) return
    const leaving = new AbortController()
    openInFrontend(frame.current, name, leaving.signal)
      .then(() => handover.set(undefined))
      .catch(console.error)
    return () => leaving.abort()
  }, [])
  return <iframe ref={frame} className="frontend" title="ComfyUI" src={address} />
}
