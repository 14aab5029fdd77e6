import t from 'tap'
import { buildUnetGraph } from '../../../../src/executors/native/graphs/unet.ts'
import { goldenTensors } from '../../../goldens.ts'
import { inputValues, networkCases, openCase } from './network-goldens.ts'
import { fused, plain, relativeError, runGraph } from './run-graph.ts'

const golden = goldenTensors('networks')

for (const network of networkCases('unet')) {
  t.test(`${network.name} predicts what PyTorch does`, async (t) => {
    const checkpoint = await openCase(t.testdir(), network)
    for (const { inputs, timesteps, outputs } of network.runs) {
      const { x, context } = inputs as { [key: string]: { name: string; shape: number[] } }
      const [batch, , height, width] = x!.shape as [number, number, number, number]
      const shape = { batch, height, width, tokens: context!.shape[1]! }
      for (const dialect of [plain, fused]) {
        const graph = buildUnetGraph(checkpoint, shape, { dialect })
        const { prediction } = await runGraph(graph, {
          latent: inputValues(x!),
          timesteps: timesteps!,
          context: inputValues(context!),
        })
        const error = relativeError(prediction!, golden(outputs.eps!).data)
        t.comment(`${height}x${width} ${dialect.attention}: ${error}`)
        t.ok(error < 1e-4, `${height}x${width} ${dialect.attention} is within 1e-4`)
      }
    }
  })
}
