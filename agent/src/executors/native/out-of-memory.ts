/** How memory that ran out is told: by onnxruntime's providers, by JavaScript, by libvips. */
import { MeshError } from '@comfymesh/protocol/errors'

/**
 * The CPU's arena and std::bad_alloc (Windows says it in two words), V8's array buffers, CUDA's
 * runtime and its libraries, DirectML's HRESULTs, WebGPU's device.
 */
const messages =
  /bad_alloc|failed to allocate|out of memory|out_of_memory|alloc_failed|allocation[ _]failed|bad allocation|Available memory of \d+ is smaller than requested|8007000E|887A0005|Invalid typed array length: \d/i

export function isOutOfMemory(thrown: unknown): boolean {
  if (thrown instanceof MeshError) return thrown.code === 'out_of_memory'
  return thrown instanceof Error && messages.test(thrown.message)
}

export function outOfMemory(cause: unknown): MeshError {
  if (cause instanceof MeshError) return cause
  const message = 'The memory ran out. Try a smaller picture or batch, or the tiled VAE nodes.'
  return new MeshError('out_of_memory', message, { cause })
}
