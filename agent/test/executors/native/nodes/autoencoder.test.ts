import { MeshError } from '@comfymesh/protocol/errors'
import t from 'tap'
import { zeros } from '../../../../src/executors/native/array/tensor.ts'
import type { Autoencoder } from '../../../../src/executors/native/models.ts'
import type { NodeContext } from '../../../../src/executors/native/node.ts'
import { nodeRows } from '../../../../src/executors/native/nodes/index.ts'
import type { Tensor } from '../../../../src/executors/native/values.ts'
import { compareWithGoldens, contextWith } from './node-goldens.ts'

/** The squares of dev/goldens/make_image_nodes.py, in the range of our contract: 0 to 1. */
const squares: Autoencoder = {
  downscale: 8,
  latentChannels: 4,
  decode: async ({ data, shape }) => {
    const [batch, , height, width] = shape as [number, number, number, number]
    const plane = height * width
    const pixels = new Float32Array(batch * plane * 64 * 3)
    for (let i = 0; i < pixels.length; i++) {
      const channel = i % 3
      const x = Math.floor(Math.floor(i / 3) / 8) % width
      const y = Math.floor(Math.floor(i / 3 / (width * 8)) / 8) % height
      const b = Math.floor(i / 3 / (plane * 64))
      const cell = (c: number) => data[(b * 4 + c) * plane + y * width + x]!
      const wave = Math.fround(Math.sin(y + 2 * x + height / width))
      pixels[i] = (cell(channel) / 2 + cell(3) / 4 + wave + 1) / 2
    }
    return { data: pixels, shape: [batch, height * 8, width * 8, 3] }
  },
  encode: async ({ data, shape }: Tensor) => {
    const [batch, height, width] = shape as [number, number, number]
    const cells = [batch, 4, height / 8, width / 8] as const
    const latent = new Float32Array(batch * 4 * cells[2] * cells[3])
    for (let i = 0; i < data.length; i++) {
      const x = Math.floor(Math.floor(i / 3) / 8) % cells[3]
      const y = Math.floor(Math.floor(i / 3 / width) / 8) % cells[2]
      const b = Math.floor(i / 3 / (width * height))
      for (const c of i % 3 === 0 ? [0, 3] : [i % 3]) {
        latent[((b * 4 + c) * cells[2] + y) * cells[3] + x]! += (data[i]! * 2 - 1 + c) / 64
      }
    }
    return { data: latent, shape: cells }
  },
}

const decode = nodeRows.get('VAEDecode')!

compareWithGoldens(
  t,
  ['VAEDecode', 'VAEDecodeTiled', 'VAEEncode', 'VAEEncodeForInpaint'],
  contextWith(squares),
)

t.test('a picture too large for the memory is decoded in tiles', async (t) => {
  const shapes: string[] = []
  const small: Autoencoder = {
    ...squares,
    decode: async (samples) => {
      const [, , height, width] = samples.shape as [number, number, number, number]
      shapes.push(`${height}x${width}`)
      if (height * width > 64 * 64) throw new MeshError('out_of_memory', 'too large')
      return squares.decode(samples)
    },
  }
  const latent = { samples: zeros([1, 4, 65, 64]) }
  const { outputs } = await decode.run({ samples: latent, vae: 'vae' }, contextWith(small))
  t.same((outputs[0] as Tensor).shape, [1, 520, 512, 3])
  t.equal(shapes[0], '65x64')
  t.ok(shapes.length > 3)
})

t.test('other failures are passed on, and a cancelled stage stops', async (t) => {
  const broken: Autoencoder = {
    ...squares,
    decode: async () => {
      throw new MeshError('runner_died', 'gone')
    },
  }
  const inputs = { samples: { samples: zeros([1, 4, 2, 2]) }, vae: 'vae' }
  await t.rejects(decode.run(inputs, contextWith(broken)), { code: 'runner_died' })
  const cancelled: NodeContext = {
    ...contextWith(squares),
    throwIfCancelled: async () => {
      throw new MeshError('interrupted', 'stopped')
    },
  }
  await t.rejects(decode.run(inputs, cancelled), { code: 'interrupted' })
})

t.test('tiled decoding reports every tile', async (t) => {
  const steps: string[] = []
  const context: NodeContext = {
    ...contextWith(squares),
    progress: async (value, max) => {
      steps.push(`${value}/${max}`)
    },
  }
  const inputs = {
    samples: { samples: zeros([2, 4, 9, 8]) },
    vae: 'vae',
    tile_size: 64,
    overlap: 0,
  }
  await nodeRows.get('VAEDecodeTiled')!.run(inputs, context)
  // Three tilings of 9x8 cells: 16x4 (2 tiles), 4x16 (3) and 8x8 (2), for two pictures.
  t.same(
    steps,
    Array.from({ length: 14 }, (_, i) => `${i + 1}/14`),
  )
})
