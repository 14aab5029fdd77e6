/** The official ComfyUI frontend, where the user has one: on this agent, with the same queue. */
import { Text } from '@mantine/core'
import { useHealth } from '../../api/health.ts'
import { at } from '../../api/http.ts'

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
  return <iframe className="frontend" title="ComfyUI" src={at(health.frontend.slice(1))} />
}
