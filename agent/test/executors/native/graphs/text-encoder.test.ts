import t from 'tap'
import { buildTextEncoderGraph } from '../../../../src/executors/native/graphs/text-encoder.ts'
import { type Checkpoint, describeCheckpoint } from '../../../../src/models/family.ts'
import { openSafetensors } from '../../../../src/models/safetensors.ts'
import { readRows } from '../../../../src/models/tensor-values.ts'
import { goldenTensors } from '../../../goldens.ts'
import { ruleTensors, writeRuleModel, writeSafetensors } from '../../../models/model-files.ts'
import { networkCases, openCase } from './network-goldens.ts'
import { plain, relativeError, runGraph } from './run-graph.ts'

const golden = goldenTensors('networks')
const END = 49407

async function embed(checkpoint: Checkpoint, tokens: readonly number[]): Promise<number[]> {
  const { tokenTable } = checkpoint.textEncoder!
  const rows = await readRows(checkpoint.file, tokenTable, tokens)
  return rows.flatMap((row) => [...row])
}

for (const network of networkCases('text')) {
  t.test(`${network.name} encodes what PyTorch does`, async (t) => {
    const checkpoint = await openCase(t.testdir(), network)
    for (const { tokens, outputs } of network.runs) {
      const feeds = {
        embeddings: await embed(checkpoint, tokens!),
        end_positions: [tokens!.indexOf(END)],
      }
      for (const [name, key] of Object.entries(outputs)) {
        const lastLayer = name.startsWith('skip') ? Number(name.slice(4)) : -1
        const graph = buildTextEncoderGraph(
          checkpoint,
          { chunks: 1, lastLayer },
          { dialect: plain },
        )
        const { hidden, pooled } = await runGraph(graph, feeds)
        const error = relativeError(name === 'pooled' ? pooled! : hidden!, golden(key).data)
        t.ok(error < 1e-4, `${name}: ${error}`)
      }
    }
  })
}

t.test('chunks are independent, and layers beyond the first count as the last', async (t) => {
  const [network] = networkCases('text')
  const checkpoint = await openCase(t.testdir(), network!)
  const [first, second] = network!.runs
  const graph = buildTextEncoderGraph(checkpoint, { chunks: 2, lastLayer: -3 }, { dialect: plain })
  const { hidden, pooled } = await runGraph(graph, {
    embeddings: [
      ...(await embed(checkpoint, first!.tokens!)),
      ...(await embed(checkpoint, second!.tokens!)),
    ],
    end_positions: [first!.tokens!.indexOf(END), second!.tokens!.indexOf(END)],
  })
  const both = (output: string) => [
    ...golden(first!.outputs[output]!).data,
    ...golden(second!.outputs[output]!).data,
  ]
  t.ok(relativeError(hidden!, both('last')) < 1e-4)
  t.ok(relativeError(pooled!, both('pooled')) < 1e-4)
})

t.test('older files lack `text_model` in their names; a text projection is applied', async (t) => {
  const folder = t.testdir()
  const [network] = networkCases('text')
  const weights = ruleTensors(network!.shapes)
  const older = Object.fromEntries(
    Object.entries(weights).map(([name, tensor]) => [name.replace('.text_model.', '.'), tensor]),
  )
  const width = 64
  // Every output is three times its mirror image among the inputs.
  const projection = Array.from({ length: width * width }, (_, index) =>
    Math.floor(index / width) + (index % width) === width - 1 ? 3 : 0,
  )
  const path = writeSafetensors(`${folder}/older.safetensors`, {
    ...older,
    'cond_stage_model.transformer.embeddings.position_ids': {
      shape: [1, 77],
      values: Array.from({ length: 77 }, (_, index) => index),
    },
    'cond_stage_model.transformer.text_projection.weight': {
      shape: [width, width],
      values: projection,
    },
  })
  const checkpoint = describeCheckpoint(await openSafetensors(path))
  const { tokens, outputs } = network!.runs[0]!
  const graph = buildTextEncoderGraph(checkpoint, { chunks: 1, lastLayer: -1 }, { dialect: plain })
  const { hidden, pooled } = await runGraph(graph, {
    embeddings: await embed(checkpoint, tokens!),
    end_positions: [tokens!.indexOf(END)],
  })
  t.ok(relativeError(hidden!, golden(outputs.last!).data) < 1e-4)
  const mirrored = golden(outputs.pooled!).data.toReversed()
  t.ok(
    relativeError(
      pooled!,
      mirrored.map((value) => value * 3),
    ) < 1e-4,
  )
})

t.test('a file without a text encoder is refused', async (t) => {
  const [network] = networkCases('vae')
  const path = writeRuleModel(t.testdir(), network!.shapes)
  const checkpoint = describeCheckpoint(await openSafetensors(path))
  t.throws(
    () => buildTextEncoderGraph(checkpoint, { chunks: 1, lastLayer: -1 }, { dialect: plain }),
    { code: 'unsupported_model' },
  )
})
