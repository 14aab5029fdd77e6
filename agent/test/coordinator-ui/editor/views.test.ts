/** What the editor shows of nodes, links, searches and runs. */
import type { JobState } from '@comfymesh/protocol/job'
import type { InputSpec, Prompt } from '@comfymesh/protocol/workflow'
import t from 'tap'
import { groundOf, nodeColours } from '../../../../coordinator-ui/src/state/editor/colours.ts'
import {
  emptyWorkflow,
  nodesOf,
  openedWorkflow,
} from '../../../../coordinator-ui/src/state/editor/document.ts'
import {
  withPromptValues,
  workflowOfPrompt,
} from '../../../../coordinator-ui/src/state/editor/from-prompt.ts'
import { linkRoutes } from '../../../../coordinator-ui/src/state/editor/link-routes.ts'
import { nodeView, viewById } from '../../../../coordinator-ui/src/state/editor/node-view.ts'
import { drawnIn } from '../../../../coordinator-ui/src/state/editor/prompt-places.ts'
import {
  explained,
  jobProblems,
  nodeRuns,
} from '../../../../coordinator-ui/src/state/editor/run-state.ts'
import {
  fuzzyScore,
  nodeChoices,
  search,
} from '../../../../coordinator-ui/src/state/editor/search.ts'
import {
  controlOf,
  type DecimalControl,
  type IntegerControl,
  parseNumber,
  steppedNumber,
} from '../../../../coordinator-ui/src/state/editor/widget-control.ts'
import { definitions, drawing, promptOf } from './workflows.ts'

t.test('nodes', async (t) => {
  t.test('a known class has the sockets and widgets of its definition', async (t) => {
    const view = viewById(drawing('basic.json'), '5', definitions)!
    t.strictSame(
      view.inputs.map(({ name, linkId }) => [name, linkId]),
      [
        ['model', '1'],
        ['positive', '4'],
        ['negative', '5'],
        ['latent_image', '6'],
      ],
    )
    t.strictSame(
      view.widgets.map(({ name, value, at }) => [name, value, at]),
      [
        ['seed', 123, 0],
        ['steps', 20, 2],
        ['cfg', 7.5, 3],
        ['sampler_name', 'euler', 4],
        ['scheduler', 'normal', 5],
        ['denoise', 1, 6],
      ],
    )
    t.strictSame(view.widgets[0]!.afterRun, { at: 1, value: 'fixed' })
  })

  t.test('the same node gives the same view', async (t) => {
    const workflow = drawing('basic.json')
    const [node] = nodesOf(workflow)
    t.equal(nodeView(node!, workflow, definitions), nodeView(node!, workflow, definitions))
  })

  t.test('an unknown class is shown as the file has it', async (t) => {
    const workflow = drawing('missing_type.json')
    const view = nodesOf(workflow)
      .map((node) => nodeView(node, workflow, definitions))
      .find(({ kind }) => kind === 'unknown')!
    t.ok(view.inputs.length + view.outputs.length > 0)
    t.ok(view.widgets.every(({ control, at }) => control.kind === 'kept' && at === undefined))
  })

  t.test('an instance has the name and the sockets of its subgraph', async (t) => {
    const view = viewById(drawing('subgraph.json'), '10', definitions)!
    t.equal(view.kind, 'subgraph')
    t.equal(view.title, 'Sampler+Decode')
    t.equal(view.inputs.length, 6)
  })

  t.test('a primitive is the widget that it is linked to', async (t) => {
    const workflow = drawing('primitive_to_seed.json')
    const primitive = nodesOf(workflow).find(({ type }) => type === 'PrimitiveNode')!
    const [widget] = nodeView(primitive, workflow, definitions).widgets
    t.equal(widget!.control.kind, 'integer')
    t.equal(widget!.name, 'seed')
  })

  t.test('links go by the points that they were drawn around', async (t) => {
    t.strictSame(
      [...linkRoutes(drawing('native_reroutes.json'))],
      [
        [
          '9',
          [
            { id: '1', x: 10, y: 10 },
            { id: '2', x: 20, y: 10 },
          ],
        ],
      ],
    )
  })
})

t.test('numbers', async (t) => {
  const control = (spec: InputSpec) => controlOf(spec) as IntegerControl | DecimalControl

  t.test('64-bit seeds stay intact and in their range', async (t) => {
    const seed = control(['INT', { min: 0, max: 2 ** 64 }])
    t.equal(parseNumber(seed, '18446744073709551615'), 2n ** 64n - 1n)
    t.equal(parseNumber(seed, '18446744073709551616'), 2n ** 64n - 1n)
    t.equal(parseNumber(seed, '-4'), 0)
    t.equal(parseNumber(seed, '4.5'), undefined)
    t.equal(steppedNumber(seed, 2n ** 64n - 2n, 1), 2n ** 64n - 1n)
    t.equal(steppedNumber(seed, 0, -1), 0)
    t.equal(steppedNumber(control(['INT', { step: 8, max: 100 }]), 64, 10), 100)
  })

  t.test('decimals are rounded as their definition says', async (t) => {
    const cfg = control(['FLOAT', { min: 0, max: 100, step: 0.1, round: 0.01 }])
    t.equal(parseNumber(cfg, '7.556'), 7.56)
    t.equal(parseNumber(cfg, '7,5'), 7.5)
    t.equal(parseNumber(cfg, ''), undefined)
    t.equal(parseNumber(cfg, 'seven'), undefined)
    t.equal(steppedNumber(cfg, 7.2, 1), 7.3)
    t.equal(steppedNumber(cfg, 0, -1), 0)
  })
})

t.test('search', async (t) => {
  const best = (typed: string) => search(nodeChoices(definitions), typed)[0]?.id

  t.test('names, classes, initials and categories are found', async (t) => {
    t.equal(best('ksampler'), 'KSampler')
    t.equal(best('load checkpoint'), 'CheckpointLoaderSimple')
    t.equal(best('CheckpointLoaderSimple'), 'CheckpointLoaderSimple')
    t.equal(best('vae decode'), 'VAEDecode')
    t.equal(best('note'), 'Note')
    t.ok(search(nodeChoices(definitions), 'loaders').some(({ id }) => id === 'VAELoader'))
    t.strictSame(search(nodeChoices(definitions), 'qqzz'), [])
  })

  t.test('nearer is better', async (t) => {
    const scores = ['sampler', 'sampler custom', 'a sampler', 'ksampler', 'SAM pleR'].map((text) =>
      fuzzyScore(text, 'sampler'),
    )
    t.strictSame(
      scores.toSorted((one, other) => other - one),
      scores,
    )
    t.equal(fuzzyScore('latent', 'sampler'), 0)
  })

  t.test('a loose end is offered what fits it, the exact type first', async (t) => {
    const forClip = nodeChoices(definitions, { side: 'output', type: 'CLIP' }).map(({ id }) => id)
    t.ok(forClip.includes('CLIPTextEncode'))
    t.notOk(forClip.includes('EmptyLatentImage'))
    t.notOk(forClip.includes('Note'))
    const forLatent = nodeChoices(definitions, { side: 'input', type: 'LATENT' })
    t.ok(definitions[forLatent[0]!.id]!.output.includes('LATENT'))
  })
})

t.test('prompts', async (t) => {
  for (const name of ['basic.json', 'lora_active.json', 'load_image.json']) {
    t.test(`a prompt is drawn, and is the same prompt again: ${name}`, async (t) => {
      const prompt = promptOf(drawing(name)) as Prompt
      const workflow = workflowOfPrompt(prompt, definitions)
      t.strictSame(promptOf(openedWorkflow(workflow)), prompt)
    })
  }

  t.test('ids that are no numbers get some', async (t) => {
    const prompt: Prompt = {
      'a:1': { class_type: 'VAEDecode', inputs: { samples: ['7', 0] } },
      7: { class_type: 'EmptyLatentImage', inputs: {} },
    }
    const workflow = workflowOfPrompt(prompt, definitions)
    t.strictSame(promptOf(workflow)['8']!.inputs, { samples: ['7', 0] })
  })

  t.test('the values of a form come into the drawing', async (t) => {
    const workflow = drawing('basic.json')
    const prompt = promptOf(workflow) as Prompt
    t.equal(withPromptValues(workflow, prompt, definitions), workflow)
    const inputs = { ...prompt[5]!.inputs, steps: 3 }
    const changed = withPromptValues(
      workflow,
      { ...prompt, 5: { ...prompt[5]!, inputs } },
      definitions,
    )
    t.strictSame(promptOf(changed)[5]!.inputs, inputs)
  })

  t.test('texts that the conversion rewrites stay as they are drawn', async (t) => {
    const workflow = drawing('text_replacements_dynamic_prompts.json')
    const prompt = promptOf(workflow) as Prompt
    t.equal(withPromptValues(workflow, prompt, definitions), workflow)
  })
})

t.test('runs', async (t) => {
  const job = {
    request: { id: 'a' },
    status: 'running',
    cached: { nodeIds: ['1'], atMs: 0 },
    nodes: [
      { nodeId: '10:50', status: 'finished', peerId: 'p', value: 1, max: 1, cached: false },
      { nodeId: '10:51', status: 'running', peerId: 'p', value: 2, max: 8, cached: false },
    ],
    outputs: { '7': { images: [{ filename: 'a.png', subfolder: '', type: 'output' }] } },
  } as unknown as JobState

  t.test('a subgraph is what goes on inside of it', async (t) => {
    const workflow = drawing('subgraph.json')
    const runs = nodeRuns(job, drawnIn(workflow, []))
    t.equal(runs.get('1')!.status, 'cached')
    t.match(runs.get('10'), { status: 'running', share: 0.25, text: '2 of 8', peerId: 'p' })
    t.strictSame(runs.get('7')!.pictures, [{ filename: 'a.png', subfolder: '', type: 'output' }])
    t.equal(nodeRuns(undefined, drawnIn(workflow, [])).size, 0)
    const inside = nodeRuns(job, drawnIn(workflow, ['10']))
    t.strictSame([...inside.keys()], ['50', '51'], 'from inside each for itself')
    t.match(inside.get('51'), { status: 'running', text: '2 of 8' })
  })

  t.test('what is wrong is told by node', async (t) => {
    const nodes = [{ nodeId: '4', text: 'no node' }]
    const warnings = [{ nodeId: '4', message: 'There is no node Fancy here.' }]
    t.strictSame(explained({ nodes, general: [] }, warnings).nodes, [
      { nodeId: '4', text: 'There is no node Fancy here.' },
    ])
    const failed = { ...job, status: 'failed', endNodeId: '7', error: { message: 'why' } }
    t.strictSame(jobProblems(failed as unknown as JobState).nodes, [{ nodeId: '7', text: 'why' }])
  })
})

t.test('what is no workflow is not opened', async (t) => {
  t.throws(() => openedWorkflow({ a: 1 }), { code: 'invalid_prompt' })
  t.throws(() => openedWorkflow(null), { code: 'invalid_prompt' })
  t.ok(openedWorkflow(emptyWorkflow()))
})

t.test("every colour of ComfyUI's can be read on, light and dark", async (t) => {
  for (const { bgcolor } of [...Object.values(nodeColours), { bgcolor: '#ffffff' }]) {
    const light = contrast(groundOf(bgcolor, 'light')!, [36, 38, 43])
    const dark = contrast(groundOf(bgcolor, 'dark')!, [232, 233, 237])
    t.ok(light > 4.5 && dark > 4.5, `${bgcolor}: ${light} ${dark}`)
  }
  t.equal(groundOf('hotpink', 'dark'), undefined)
})

function contrast(ground: string, text: readonly number[]): number {
  const parts = ground.match(/\d+/g)!.map(Number)
  const [one, other] = [luminance(parts), luminance(text)].toSorted((a, b) => b - a)
  return (one! + 0.05) / (other! + 0.05)
}

function luminance(parts: readonly number[]): number {
  const [red, green, blue] = parts.map((part) => {
    const share = part / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!
}
