import t from 'tap'
import {
  buildDecoderGraph,
  buildEncoderGraph,
} from '../../../../src/executors/native/graphs/autoencoder.ts'
import { goldenTensors } from '../../../goldens.ts'
import { inputValues, networkCases, openCase } from './network-goldens.ts'
import { fused, plain, relativeError, runGraph } from './run-graph.ts'

const golden = goldenTensors('networks')

/** [1, channels, height, width] to [1, height, width, channels]. */
function channelsLast(values: Float32Array, [, channels, height, width]: readonly number[]) {
  const cells = height! * width!
  return values.map(
    (_, index) => values[(index % channels!) * cells + Math.floor(index / channels!)]!,
  )
}

for (const network of networkCases('vae')) {
  t.test(`${network.name} decodes and encodes as PyTorch does`, async (t) => {
    const checkpoint = await openCase(t.testdir(), network)
    for (const { inputs, outputs } of network.runs) {
      const { latent, image } = inputs as { [key: string]: { name: string; shape: number[] } }
      const [batch, , height, width] = latent!.shape as [number, number, number, number]
      const shape = { batch, height, width }
      for (const dialect of [plain, fused]) {
        const decoder = buildDecoderGraph(checkpoint, shape, { dialect })
        const { pixels } = await runGraph(decoder, { latent: inputValues(latent!) })
        const decoded = golden(outputs.decoded!)
        const wanted = channelsLast(decoded.data, decoded.shape).map((value) => (value + 1) / 2)
        t.ok(
          relativeError(pixels!, wanted) < 1e-4,
          `${height}x${width} ${dialect.attention} decodes`,
        )

        const encoder = buildEncoderGraph(checkpoint, shape, { dialect })
        // The golden's image is what the network sees: pixels stretched to -1..1.
        const seen = channelsLast(inputValues(image!), image!.shape)
        const { latent: mean } = await runGraph(encoder, {
          pixels: seen.map((value) => (value + 1) / 2),
        })
        const error = relativeError(mean!, golden(outputs.mean!).data)
        t.ok(error < 1e-4, `${height}x${width} ${dialect.attention} encodes`)
      }
    }
  })
}
