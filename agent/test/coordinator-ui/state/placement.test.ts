/** What the page asks of the planner for where a prompt is to run. */
import type { NodeDefinitions, Prompt } from '@comfymesh/protocol/workflow'
import t from 'tap'
import { placementText, planOptionsFor } from '../../../../coordinator-ui/src/state/placement.ts'

const definitions = {
  LoadImage: { input: { required: { image: [['a.png'], { image_upload: true }] } } },
  LoadFaces: { input: { optional: { faces: ['COMBO', { faces_upload: true }] } } },
  ImageInvert: { input: { required: { image: ['IMAGE'] } } },
  Loader: { input: { required: { name: [['x'], { image_upload: false }] } } },
  Plain: {},
} as unknown as NodeDefinitions

const prompt: Prompt = Object.fromEntries(
  ['LoadImage', 'LoadFaces', 'ImageInvert', 'Loader', 'Plain', 'Unknown'].map((class_type) => [
    `a ${class_type}`,
    { class_type, inputs: {} },
  ]),
)

t.test('anywhere asks for nothing', async (t) => {
  t.strictSame(planOptionsFor(undefined, prompt, definitions), {})
  t.equal(placementText(undefined, ''), 'Runs anywhere')
})

t.test('a machine is to run all but what reads uploaded files', async (t) => {
  const bound = ['ImageInvert', 'Loader', 'Plain', 'Unknown']
  for (const [fallback, text] of [
    ['none', 'Runs on tower only'],
    ['ask', 'Runs on tower, or asks'],
    ['auto', 'Runs on tower, or elsewhere'],
  ] as const) {
    const wish = { peerId: 'id-tower', fallback }
    const affinity = Object.fromEntries(bound.map((classType) => [`a ${classType}`, 'id-tower']))
    t.strictSame(planOptionsFor(wish, prompt, definitions), { comfymesh: { affinity, fallback } })
    t.equal(placementText(wish, 'tower'), text)
  }
})
