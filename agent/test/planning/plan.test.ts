/** From prompt to stages and placements, over meshes of one to five peers. */
import type { Plan } from '@comfymesh/protocol/plan'
import t from 'tap'
import type { LearnedTimes } from '../../src/planning/learned-times.ts'
import { timeKey } from '../../src/planning/learned-times.ts'
import type { PeerOffer } from '../../src/planning/peers.ts'
import { offersWith, plannedWork } from '../../src/planning/replan.ts'
import {
  latent,
  manyPictures,
  peer,
  plan,
  promptOf,
  reasons,
  sampled,
  separateFiles,
  shape,
  type TestPeer,
  texts,
  textToImage,
} from './meshes.ts'

const EVERYTHING = 'decode latent neg pos sample save'

/** A peer of the name a, another of the name b, and so on. */
const mesh = (...peers: TestPeer[]): PeerOffer[] =>
  peers.map((about, index) => peer('abcdefgh'[index]!, about))

t.test('one peer, one stage', async (t) => {
  const made = plan(textToImage(), mesh({}))
  t.equal(shape(made), `a: ${EVERYTHING}`)
  t.match(made, {
    edges: [],
    reason: 'a runs everything, so nothing travels',
    totals: { transferBytes: 0 },
    placements: [{ reason: 'the only peer of the mesh', rejected: [] }],
  })
  const [{ estimate }] = made.placements as [(typeof made.placements)[number]]
  t.equal(estimate.finishMs, made.totals.finishMs)
  t.ok(estimate.loadMs > 0 && estimate.computeMs > 0)
  t.equal(estimate.transferMs, 0)
})

t.test('nothing to run, no stage', async (t) => {
  const made = plan(textToImage(), mesh({}, {}), { outputs: [] })
  t.match(made, { stages: [], placements: [], edges: [], reason: 'nothing has to run' })
})

t.test('one peer for everything: the one that ends first', async (t) => {
  const cases: Record<string, [TestPeer[], string]> = {
    'equal peers: the submitting one': [[{}, {}], 'a'],
    'the faster one': [[{}, { gflops: 20_000 }], 'b'],
    'the one that is not busy': [[{ waitMs: 60_000 }, {}], 'b'],
    'the one with the model in memory': [[{}, { resident: ['sd15.safetensors'] }], 'b'],
    'a slower one where the faster is far behind': [
      [{ gflops: 2000 }, { gflops: 20_000, waitMs: 60_000 }],
      'a',
    ],
    'the only one with the model': [[{ has: [] }, {}], 'b'],
    'the only one with the node': [[{ lacksNodes: ['VAEDecode'] }, {}], 'b'],
    'the only one with the memory': [[{ memoryGb: 1 }, { memoryGb: 8 }], 'b'],
    'the one that is there': [[{ isAway: true, gflops: 50_000 }, {}], 'b'],
  }
  for (const [what, [peers, expected]] of Object.entries(cases))
    t.equal(shape(plan(textToImage(), mesh(...peers))), `${expected}: ${EVERYTHING}`, what)
})

t.test('every other peer has its reason', async (t) => {
  const of = (about: TestPeer, prompt = textToImage()) =>
    reasons(plan(prompt, mesh({ gflops: 10_000 }, about))).b
  t.equal(of({ has: [] }), 'lacks model sd15.safetensors')
  t.equal(of({ has: ['sd15.safetensors=other'] }), 'has another file named sd15.safetensors')
  t.equal(of({ lacksNodes: ['KSampler'] }), 'lacks node KSampler')
  t.equal(of({ memoryGb: 4 }, textToImage('sdxl.safetensors', 1024)), 'needs 6.2 GB, has 4.0 GB')
  t.equal(of({ gflops: 10_000, waitMs: 40_000 }), 'busy, 40 s behind')
  t.equal(of({ gflops: 1000 }), 'slower: 33 s instead of 5.5 s')
  t.equal(of({ isAway: true }), 'away')
  const twins = [peer('here', { gflops: 500 }), peer('b'), peer('c')]
  t.equal(reasons(plan(textToImage(), twins)).c, 'as fast, but b comes first')
  const loaded = mesh({ resident: ['sd15.safetensors'] }, {})
  t.match(reasons(plan(textToImage(), loaded)).b, /its model is not loaded$/)
})

t.test('no peer can: the reason names what each lacks', async (t) => {
  const lacking = mesh({ has: [] }, { memoryGb: 1 }, { isAway: true })
  t.throws(() => plan(textToImage(), lacking), {
    code: 'no_peer',
    message:
      /^No peer can run KSampler \(node sample\) with all that it needs: a: lacks model sd15.safetensors; b: needs .* GB, has 1.0 GB; c: away.$/,
    details: { nodeId: 'sample' },
  })
  const withLora = promptOf({
    ckpt: ['CheckpointLoaderSimple', { ckpt_name: 'sd15.safetensors' }],
    lora: [
      'LoraLoader',
      {
        model: ['ckpt', 0],
        clip: ['ckpt', 1],
        lora_name: 'detail.safetensors',
        strength_model: 1,
        strength_clip: 1,
      },
    ],
    ...texts(['ckpt', 1]),
    ...latent(),
    ...sampled('', { model: 'lora' }),
  })
  const halves = mesh({ has: ['sd15.safetensors'] }, { has: ['detail.safetensors'] })
  t.throws(() => plan(withLora, halves), {
    message:
      'No peer can run KSampler (node sample) with all that it needs: a: lacks model detail.safetensors; b: lacks model sd15.safetensors.',
  })
  t.throws(() => plan(textToImage(), [peer('only', { has: [] })]), { code: 'no_peer' })
})

t.test('split where the fewest bytes travel, when no peer can run everything', async (t) => {
  const encoder = ['clip.safetensors', 'vae.safetensors']
  const cases: Record<string, [TestPeer[], string]> = {
    'text and decoding on one, sampling on another': [
      [{ has: encoder }, { has: ['unet.safetensors'] }],
      'a: neg pos | b: latent sample | a: decode save',
    ],
    'a machine for each network': [
      [{ has: ['clip.safetensors'] }, { has: ['unet.safetensors'] }, { has: ['vae.safetensors'] }],
      'a: neg pos | b: latent sample | c: decode save',
    ],
    'sampler and decoding together where one has both': [
      [{ has: encoder }, { has: ['unet.safetensors', 'vae.safetensors'] }],
      'a: neg pos | b: decode latent sample save',
    ],
    'memory decides as models do': [
      [{ memoryGb: 3 }, { memoryGb: 16, has: ['unet.safetensors'] }],
      'a: neg pos | b: latent sample | a: decode save',
    ],
    'a peer that has everything takes everything': [
      [{ has: encoder }, { has: ['unet.safetensors'] }, {}],
      `c: ${EVERYTHING}`,
    ],
  }
  for (const [what, [peers, expected]] of Object.entries(cases))
    t.equal(shape(plan(separateFiles(), mesh(...peers))), expected, what)
})

t.test('the edges of a split plan', async (t) => {
  const halves = mesh(
    { has: ['clip.safetensors', 'vae.safetensors'] },
    { has: ['unet.safetensors'] },
  )
  const { stages, edges, placements, totals } = plan(separateFiles(1024), halves)
  const numbered = edges.map(({ from, to, nodeId, type, bytes, travels }) => {
    const place = (id: string | undefined) => stages.findIndex((stage) => stage.id === id)
    return [place(from), place(to), nodeId, type, bytes, travels]
  })
  t.strictSame(numbered, [
    [0, 1, 'pos', 'CONDITIONING', 77 * 2048 * 4, true],
    [0, 1, 'neg', 'CONDITIONING', 77 * 2048 * 4, true],
    [1, 2, 'sample', 'LATENT', 128 * 128 * 4 * 4, true],
  ])
  t.equal(
    totals.transferBytes,
    edges.reduce((sum, { bytes }) => sum + bytes, 0),
  )
  t.strictSame(stages[0]!.outputs, [
    { nodeId: 'pos', slot: 0, type: 'CONDITIONING' },
    { nodeId: 'neg', slot: 0, type: 'CONDITIONING' },
  ])
  t.strictSame(stages[2]!.after, [stages[1]!.id])
  const loaders = stages.map(({ nodes }) =>
    nodes.flatMap(({ id, classType }) => (/Loader/.test(classType) ? [id] : [])),
  )
  t.strictSame(loaders, [['clip'], ['unet'], ['vae']], 'each stage loads what it needs')
  const [texting, sampling, decoding] = placements.map(({ estimate }) => estimate)
  t.equal(sampling!.startMs, texting!.finishMs, 'a stage begins when its inputs are made')
  t.equal(decoding!.startMs, sampling!.finishMs)
  t.equal(totals.finishMs, decoding!.finishMs)
})

t.test('branches that could run at the same time', async (t) => {
  const counts = (peers: PeerOffer[], pictures: number) => {
    const made = plan(manyPictures(pictures), peers)
    const samplers = made.stages.map(
      ({ nodes }) => nodes.filter(({ classType }) => classType === 'KSampler').length,
    )
    return peers.map(({ advertisement: { name } }) =>
      samplers.reduce(
        (sum, count, index) => sum + (made.placements[index]!.peerName === name ? count : 0),
        0,
      ),
    )
  }
  t.strictSame(counts(mesh({ gflops: 2000 }, { gflops: 6000 }), 8), [2, 6], 'in proportion')
  t.strictSame(counts(mesh({}, {}, {}, {}), 8), [2, 2, 2, 2])
  t.strictSame(counts(mesh({}, { gflops: 50 }), 4), [4, 0], 'too slow to be of use')
  t.strictSame(counts(mesh({}, {}), 1), [1, 0], 'a chain cannot be shared')
  const { reason } = plan(manyPictures(8), mesh({}, {}))
  t.match(reason, /^parts run at the same time, which ends clearly earlier: .* s instead of .* s$/)
})

t.test('not split for what hardly anybody would notice', async (t) => {
  const quick = mesh({ gflops: 1e6, resident: ['sd15.safetensors'] }, { gflops: 1e6 })
  t.match(plan(manyPictures(2), quick).reason, /^a runs everything/)
})

t.test('a batch of jobs goes to a fast and a slow machine in proportion', async (t) => {
  const offers = mesh(
    { gflops: 1000, resident: ['sd15.safetensors'] },
    { gflops: 3000, resident: ['sd15.safetensors'] },
  )
  const plans: Plan[] = []
  for (let job = 0; job < 12; job++) {
    const placed = plans.map((made) => ({ plan: made, stages: [], attempts: [] }))
    plans.push(plan(textToImage(), offersWith(offers, plannedWork(placed, 0))))
  }
  const taken = plans.map(({ placements }) => placements[0]!.peerName)
  t.equal(taken.filter((name) => name === 'a').length, 3, taken.join(''))
})

t.test('what was measured counts, and stands for peers that are like it', async (t) => {
  const learn = (...entries: [name: string, ms: number][]): LearnedTimes =>
    new Map(
      entries.map(([name, elapsedMs]) => [
        timeKey({ peerId: `id-${name}`, classType: 'KSampler', model: 'sd15.safetensors' }),
        [{ work: 20 * 512 * 512, elapsedMs }],
      ]),
    )
  const peers = mesh({ gflops: 5000 }, { gflops: 4000 })
  t.match(shape(plan(textToImage(), peers)), /^a/, 'by their benchmarks')
  const times = learn(['a', 9000], ['b', 2000])
  t.match(shape(plan(textToImage(), peers, { times })), /^b/, 'by what they did')
  const scaled = plan(textToImage(), peers, { times: learn(['b', 2000]) })
  t.match(shape(scaled), /^a/, 'a is a quarter faster than b, whatever b takes')
  t.ok(scaled.totals.finishMs < plan(textToImage(), peers).totals.finishMs)
})

t.test('a light node is no stage of its own because it ran once on a busy machine', async (t) => {
  const halves = mesh(
    { has: ['clip.safetensors', 'vae.safetensors'], gflops: 500 },
    { has: ['unet.safetensors'], gflops: 100 },
    { gflops: 5000, isAway: true },
  )
  const asOne = 'a: neg pos | b: latent sample | a: decode save'
  const apart = 'a: neg pos | b: latent | b: sample | a: decode save'
  const cases: [what: string, timesMs: Record<string, number[]>, expected: string][] = [
    ['never', {}, asOne],
    ['once where it is to run', { b: [3000] }, asOne],
    ['once on each of two others', { a: [3000], c: [4000] }, asOne],
    ['some milliseconds on a fast machine', { c: [10, 10, 10] }, asOne],
    ['twice where it is to run', { b: [3000, 3000] }, apart],
    ['twice elsewhere', { c: [3000, 3000] }, apart],
  ]
  for (const [what, timesMs, expected] of cases) {
    const times = new Map(
      Object.entries(timesMs).map(([name, all]) => [
        timeKey({ peerId: `id-${name}`, classType: 'EmptyLatentImage', model: '' }),
        all.map((elapsedMs) => ({ work: 1024 * 1024, elapsedMs })),
      ]),
    )
    t.equal(shape(plan(separateFiles(), halves, { times })), expected, what)
  }
})

t.test('a slow link keeps work where its inputs are', async (t) => {
  const peers = mesh({ has: ['clip.safetensors'], gflops: 900 }, {}, {})
  const slow = [{ peerIds: ['id-a', 'id-b'], bytesPerSecond: 1e5, roundTripMs: 50 }] as const
  const bound = { affinity: { CLIPTextEncode: 'a' } }
  t.match(shape(plan(separateFiles(), peers, bound)), /\| b: /)
  t.match(shape(plan(separateFiles(), peers, { ...bound, links: slow })), /\| c: /)
})

t.test('uploaded pictures stay with the peer that has them', async (t) => {
  const edit = promptOf({
    load: ['LoadImage', { image: 'fox.png [input]' }],
    invert: ['ImageInvert', { image: ['load', 0] }],
    save: ['SaveImage', { images: ['invert', 0], filename_prefix: 'x' }],
  })
  const made = plan(edit, mesh({}, { gflops: 1e6 }))
  t.equal(shape(made), 'a: invert load save')
  t.equal(reasons(made).b, 'the file fox.png [input] is on a')
})

t.test('handles that no table knows keep their nodes together', async (t) => {
  const faces = promptOf({
    empty: ['EmptyImage', { width: 512, height: 512, batch_size: 1, color: 0 }],
    find: ['FindFaces', { image: ['empty', 0] }],
    blur: ['ImageBlur', { image: ['empty', 0], blur_radius: 1, sigma: 1 }],
    paint: ['PaintFaces', { image: ['blur', 0], faces: ['find', 0] }],
    save: ['SaveImage', { images: ['paint', 0], filename_prefix: 'x' }],
  })
  const apart = mesh({ lacksNodes: ['FindFaces'] }, { lacksNodes: ['PaintFaces'] })
  t.throws(() => plan(faces, apart), {
    message:
      /^No peer can run FindFaces \(node find\) with all that it needs: a: lacks node FindFaces; b: lacks node PaintFaces/,
  })
  const some = mesh({ lacksNodes: ['FindFaces'] }, { lacksNodes: ['ImageBlur'] })
  t.equal(shape(plan(faces, some)), 'a: blur empty | b: find paint save')
})

t.test('conditioning with a control net inside does not travel', async (t) => {
  const controlled = promptOf({
    unet: ['UNETLoader', { unet_name: 'unet.safetensors' }],
    clip: ['CLIPLoader', { clip_name: 'clip.safetensors' }],
    vae: ['VAELoader', { vae_name: 'vae.safetensors' }],
    net: ['ControlNetLoader', { control_net_name: 'canny.safetensors' }],
    hint: ['EmptyImage', { width: 512, height: 512, batch_size: 1, color: 0 }],
    text: ['CLIPTextEncode', { text: 'a fox', clip: ['clip', 0] }],
    neg: ['CLIPTextEncode', { text: '', clip: ['clip', 0] }],
    pos: [
      'ControlNetApply',
      { conditioning: ['text', 0], control_net: ['net', 0], image: ['hint', 0], strength: 1 },
    ],
    ...latent(),
    ...sampled('', { model: 'unet', vae: ['vae', 0] }),
  })
  const peers = mesh(
    { has: ['clip.safetensors', 'vae.safetensors'] },
    { has: ['unet.safetensors', 'canny.safetensors'] },
  )
  t.equal(
    shape(plan(controlled, peers)),
    'a: neg text | b: hint latent pos sample | a: decode save',
  )
})

t.test('a prompt whose model only another peer has', async (t) => {
  t.equal(
    shape(plan(textToImage(), [peer('front', { has: [] }), peer('big')])),
    `big: ${EVERYTHING}`,
  )
})

t.test('the file that most peers have is meant where the submitting one has none', async (t) => {
  const peers = mesh(
    { has: [] },
    { has: ['sd15.safetensors=old'], gflops: 9000 },
    { has: ['sd15.safetensors=new'] },
    { has: ['sd15.safetensors=new'] },
  )
  const made = plan(textToImage(), peers)
  t.equal(shape(made), `c: ${EVERYTHING}`)
  t.equal(reasons(made).b, 'has another file named sd15.safetensors')
})

/** A picture of the user's, changed by a checkpoint. */
function imageToImage(checkpoint = 'sd15.safetensors') {
  return promptOf({
    load: ['LoadImage', { image: 'photo.png' }],
    ckpt: ['CheckpointLoaderSimple', { ckpt_name: checkpoint }],
    ...texts(['ckpt', 1]),
    latent: ['VAEEncode', { pixels: ['load', 0], vae: ['ckpt', 2] }],
    ...sampled(''),
  })
}

t.test('an uploaded picture is read where it lies and travels as a value', async (t) => {
  const made = plan(imageToImage('sdxl.safetensors'), [
    peer('front', { has: ['sd15.safetensors'] }),
    peer('big'),
  ])
  t.equal(shape(made), 'front: load | big: neg pos | big: decode latent sample save')
  t.match(made.edges, [{ nodeId: 'load', slot: 0, type: 'IMAGE', travels: true }])
  t.equal(reasons(made).big, 'the file photo.png is on front')
})

t.test('a picture travels also where that ends clearly earlier', async (t) => {
  const slow = peer('front', { gflops: 300 })
  t.equal(
    shape(plan(imageToImage(), [slow, peer('fast', { gflops: 20_000 })])),
    'front: load | fast: neg pos | fast: decode latent sample save',
  )
  t.equal(
    shape(plan(imageToImage(), [slow, peer('alike', { gflops: 330 })])),
    'front: decode latent load neg pos sample save',
    'not for a little',
  )
})

t.test('what nobody has measured must pay more to be taken apart', async (t) => {
  const peers = [peer('front', { gflops: 300 }), peer('faster', { gflops: 520 })]
  const all = 'front: decode latent load neg pos sample save'
  t.equal(shape(plan(imageToImage(), peers)), all, 'a benchmark may be wrong by half')
  // Nobody knows the size of the picture: its work is counted in steps alone.
  const heavy = [
    ['CLIPTextEncode', 1],
    ['VAEEncode', 1],
    ['KSampler', 20],
    ['VAEDecode', 1],
  ] as const
  const times: LearnedTimes = new Map(
    peers.flatMap(({ advertisement: { peerId, benchmarkGflops = 1 } }) =>
      heavy.map(([classType, work]) => {
        const key = timeKey({ peerId, classType, model: 'sd15.safetensors' })
        return [key, [{ work, elapsedMs: (work * 1e6) / benchmarkGflops }]] as const
      }),
    ),
  )
  t.match(shape(plan(imageToImage(), peers, { times })), /\| faster: .*sample/, 'as measured')
})

t.test('a guess goes by the size of the network', async (t) => {
  const [large] = plan(textToImage('sdxl.safetensors'), [peer('a')]).placements
  const [small] = plan(textToImage(), [peer('a')]).placements
  t.ok(large!.estimate.computeMs > 2 * small!.estimate.computeMs)
})
