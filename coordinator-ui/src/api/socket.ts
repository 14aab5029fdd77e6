/**
 * ComfyUI's WebSocket, for what only it carries: previews of the jobs that this page
 * submitted. It also tells at once when the agent goes away, and comes back by itself.
 */
import { at } from './http.ts'

export type Connection = 'connecting' | 'open' | 'lost'

export interface Preview {
  readonly jobId: string
  readonly nodeId: string
  readonly picture: Blob
}

export interface Socket {
  /** Names this page to the agent: `client_id` of what it submits. */
  readonly clientId: string
  readonly connection: Connection
  /** @returns stops listening. */
  onPreview(listener: (preview: Preview) => void): () => void
  /** @returns stops listening. */
  onConnection(listener: () => void): () => void
}

const FIRST_RETRY_MS = 500
const LONGEST_RETRY_MS = 5000

/** Previews that carry what they are of. */
const PREVIEW_WITH_METADATA = 4

export function openSocket(): Socket {
  const clientId = sessionClientId()
  const previewListeners = new Set<(preview: Preview) => void>()
  const connectionListeners = new Set<() => void>()
  let connection: Connection = 'connecting'
  let retryMs = FIRST_RETRY_MS

  function become(next: Connection): void {
    if (connection === next) return
    connection = next
    for (const listener of connectionListeners) listener()
  }

  function connect(): void {
    const url = at(`ws?clientId=${clientId}`).replace(/^http/, 'ws')
    const socket = new WebSocket(url)
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => {
      retryMs = FIRST_RETRY_MS
      socket.send(
        JSON.stringify({ type: 'feature_flags', data: { supports_preview_metadata: true } }),
      )
      become('open')
    }
    socket.onmessage = ({ data }) => {
      const preview = data instanceof ArrayBuffer ? previewOf(data) : undefined
      if (preview) for (const listener of previewListeners) listener(preview)
    }
    socket.onclose = () => {
      become('lost')
      setTimeout(connect, retryMs)
      retryMs = Math.min(LONGEST_RETRY_MS, retryMs * 2)
    }
  }

  connect()
  return {
    clientId,
    get connection() {
      return connection
    },
    onPreview: (listener) => subscribe(previewListeners, listener),
    onConnection: (listener) => subscribe(connectionListeners, listener),
  }
}

/** The picture of a binary message (compatible with ComfyUI's event 4), or undefined for others. */
export function previewOf(data: ArrayBuffer): Preview | undefined {
  const view = new DataView(data)
  if (data.byteLength < 8 || view.getUint32(0) !== PREVIEW_WITH_METADATA) return undefined
  const length = view.getUint32(4)
  const metadata = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 8, length))) as {
    readonly node_id: string
    readonly prompt_id: string
    readonly image_type: string
  }
  const { prompt_id: jobId, node_id: nodeId, image_type: type } = metadata
  return { jobId, nodeId, picture: new Blob([data.slice(8 + length)], { type }) }
}

function subscribe<T>(listeners: Set<T>, listener: T): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** The same after a reload, so that previews of a running job come back; another in each tab. */
function sessionClientId(): string {
  const known = sessionStorage.getItem('comfymesh.client')
  if (known !== null) return known
  // randomUUID exists only in secure contexts; an agent on the LAN is plain http.
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  const id = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  sessionStorage.setItem('comfymesh.client', id)
  return id
}
