import t from 'tap'
import type { NodeContext } from '../../../../src/executors/native/node.ts'
import { nodeRows } from '../../../../src/executors/native/nodes/index.ts'
import { createModelSessions } from '../../../../src/executors/native/sessions/model-sessions.ts'
import type { Image, Latent } from '../../../../src/executors/native/values.ts'

/** No provider computes here: there is no network. */
const context = {
  models: createModelSessions({}, []),
  progress: async () => {},
  throwIfCancelled: async () => {},
} as Partial<NodeContext> as NodeContext

const vae = { kind: 'VAE', path: null }

async function run(name: string, inputs: { readonly [input: string]: unknown }): Promise<unknown> {
  const { outputs } = await nodeRows.get(name)!.run({ vae, ...inputs }, context)
  return outputs[0]
}

/** Two pictures, 2 wide and 1 high; exact in float32. */
const pixels: Image = {
  data: Float32Array.from([0, 0.25, 0.5, 0.75, 1, 0.5, 1, 1, 1, 0, 0, 0]),
  shape: [2, 1, 2, 3],
}
const samples = {
  data: Float32Array.from([-1, 0.5, -0.5, 1, 0, 0, 1, -1, 1, -1, 1, -1]),
  shape: [2, 3, 1, 2],
}

t.test('pixels become latents from -1 to 1, a plane a colour', async (t) => {
  t.strictSame(await run('VAEEncode', { pixels }), { samples })
})

t.test('latents become pixels again', async (t) => {
  t.strictSame(await run('VAEDecode', { samples: { samples } }), pixels)
  const tiled = { tile_size: 64, overlap: 0, temporal_size: 64, temporal_overlap: 8 }
  t.strictSame(await run('VAEDecodeTiled', { samples: { samples }, ...tiled }), pixels)
})

t.test('what lies outside is clamped', async (t) => {
  const latent: Latent = { samples: { data: Float32Array.of(-3, 0, 3), shape: [1, 3, 1, 1] } }
  const { data } = (await run('VAEDecode', { samples: latent })) as Image
  t.strictSame([...data], [0, 0.5, 1])
})

t.test('a picture of any size is encoded whole', async (t) => {
  const odd = { data: new Float32Array(7 * 5 * 3).fill(0.5), shape: [1, 7, 5, 3] }
  const mask = { data: new Float32Array(7 * 5), shape: [1, 7, 5] }
  const latent = (await run('VAEEncodeForInpaint', {
    pixels: odd,
    mask,
    grow_mask_by: 0,
  })) as Latent
  t.strictSame(latent.samples.shape, [1, 3, 7, 5])
  t.ok(latent.samples.data.every((value) => value === 0))
})
