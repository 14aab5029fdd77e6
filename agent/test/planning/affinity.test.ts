/** Where the user wants nodes to run, and the three answers when that cannot be. */
import { planOptionsOf } from '@comfymesh/protocol/plan'
import t from 'tap'
import { peer, plan, reasons, shape, textToImage } from './meshes.ts'

const peers = [peer('a'), peer('b', { gflops: 100 }), peer('away', { isAway: true })]

t.test('nodes run where the user wants them', async (t) => {
  const cases: Record<string, [Record<string, string>, string]> = {
    'a class, and with it what need not be cut': [
      { KSampler: 'b' },
      'b: decode latent neg pos sample save',
    ],
    'a node': [{ save: 'b' }, 'a: decode latent neg pos sample | b: save'],
    'a node says more than its class': [
      { CLIPTextEncode: 'b', neg: 'a', KSampler: 'a' },
      'b: pos | a: neg | a: decode latent sample save',
    ],
    'a loader binds what needs it': [
      { CheckpointLoaderSimple: 'b' },
      'b: decode latent neg pos sample save',
    ],
    'a peer by its id': [{ ckpt: 'id-b' }, 'b: decode latent neg pos sample save'],
    'the case of a name does not count': [{ ckpt: 'B' }, 'b: decode latent neg pos sample save'],
    'a class that the prompt does not use': [
      { VAEEncode: 'b' },
      'a: decode latent neg pos sample save',
    ],
  }
  for (const [what, [affinity, expected]] of Object.entries(cases))
    t.equal(shape(plan(textToImage(), peers, { affinity })), expected, what)
  const bound = plan(textToImage(), peers, { affinity: { ckpt: 'b' } })
  t.equal(reasons(bound).a, 'CheckpointLoaderSimple (node ckpt) is to run on b')
})

t.test('when that peer cannot', async (t) => {
  const affinity = { KSampler: 'away' }
  const ask = (fallback: 'none' | 'ask' | 'auto', wish: Record<string, string> = affinity) =>
    plan(textToImage(), peers, { affinity: wish, fallback })
  t.throws(() => ask('none'), {
    code: 'no_peer',
    message:
      'KSampler (node sample) is to run on away, but away: away. Choose another peer for node sample (KSampler), or the fallback "auto".',
  })
  const asked = ask('ask')
  t.equal(
    asked.question,
    'KSampler (node sample) is to run on away, but away: away. Run it on a instead?',
  )
  t.equal(shape(asked), 'a: decode latent neg pos sample save', 'with the plan that is proposed')
  const other = ask('auto')
  t.equal(other.question, undefined)
  t.match(other.reason, /^KSampler .* is to run on away, but away: away; a runs everything/)
  const partly = ask('auto', { KSampler: 'away', save: 'b' })
  t.equal(
    shape(partly),
    'a: decode latent neg pos sample | b: save',
    'what can be met still counts',
  )
  t.throws(() => ask('none', { KSampler: 'attic' }), {
    message: /^KSampler \(node sample\) is to run on attic, but no peer is called so\./,
  })
  t.throws(() => plan(textToImage(), [peer('a', { has: [] })], { affinity, fallback: 'ask' }), {
    message: /^No peer can run/,
  })
})

t.test('what contradicts itself', async (t) => {
  const affinity = { ckpt: 'a', sample: 'b' }
  t.throws(() => plan(textToImage(), peers, { affinity, fallback: 'none' }), {
    message: /is to run on/,
  })
  t.match(shape(plan(textToImage(), peers, { affinity })), /^a: /)
})

t.test('options are parsed once, and a slip of the pen is told', async (t) => {
  const of = (comfymesh: unknown) => planOptionsOf({ comfymesh } as never)
  t.strictSame(planOptionsOf({}), { affinity: {}, fallback: 'auto' })
  t.strictSame(of({ affinity: { 3: 'b' }, fallback: 'ask' }), {
    affinity: { 3: 'b' },
    fallback: 'ask',
  })
  t.throws(() => of({ fallback: 'maybe' }), {
    code: 'invalid_prompt',
    message: /^extra_data\.comfymesh\.fallback: /,
  })
  t.throws(() => of({ affinity: { 3: 7 } }), { message: /^extra_data\.comfymesh\.affinity\.3: / })
  t.throws(() => of('b'), { message: /^extra_data\.comfymesh: .* It has the shape/ })
  t.throws(() => of({ afinity: {} }), { message: /afinity/ })
  t.throws(() => plan(textToImage(), peers, { affinity: { KSamplr: 'b' } }), {
    code: 'invalid_prompt',
    message:
      /binds "KSamplr" to b, but "KSamplr" is neither a node of this prompt nor a node class/,
  })
})
