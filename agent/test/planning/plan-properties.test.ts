/** What holds for every plan, tried on random prompts and meshes. The seeds are fixed. */
import { MeshError } from '@comfymesh/protocol/errors'
import type { Plan } from '@comfymesh/protocol/plan'
import { isLink, type Prompt } from '@comfymesh/protocol/workflow'
import t, { type Test } from 'tap'
import type { PeerOffer } from '../../src/planning/peers.ts'
import { inputOf, models, peer, plan, promptOf, type TestPeer } from './meshes.ts'

const CASES = 200

/** Numbers that look random and are the same on every machine (mulberry32). */
function dice(seed: number) {
  let state = seed
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (count: number) => Math.floor(next() * count)
  return {
    below,
    chance: (part: number) => next() < part,
    pick: <T>(all: readonly T[]) => all[below(all.length)]!,
  }
}

type Dice = ReturnType<typeof dice>

/** Texts, samplers that build on each other, decoding, filters and joins; one or several models. */
function randomPrompt({ below, chance, pick }: Dice): Prompt {
  const nodes: Record<string, [string, object]> = {
    ckpt: ['CheckpointLoaderSimple', { ckpt_name: pick(['sd15.safetensors', 'sdxl.safetensors']) }],
    unet: ['UNETLoader', { unet_name: 'unet.safetensors' }],
    clip: ['CLIPLoader', { clip_name: 'clip.safetensors' }],
    vae: ['VAELoader', { vae_name: 'vae.safetensors' }],
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
  }
  const texts: string[] = []
  const latents: string[] = []
  const images: string[] = []
  const add = (kind: string[], classType: string, inputs: object) => {
    const id = String(Object.keys(nodes).length)
    nodes[id] = [classType, inputs]
    kind.push(id)
  }
  const side = 256 * (1 + below(4))
  add(texts, 'CLIPTextEncode', {
    text: 'x'.repeat(below(900)),
    clip: pick([
      ['ckpt', 1],
      ['clip', 0],
    ]),
  })
  add(latents, 'EmptyLatentImage', { width: side, height: side, batch_size: 1 + below(3) })
  const steps: (() => void)[] = [
    () =>
      add(texts, 'CLIPTextEncode', {
        text: 'fox',
        clip: pick([
          ['ckpt', 1],
          ['clip', 0],
          ['lora', 1],
        ]),
      }),
    () =>
      add(texts, 'ConditioningCombine', {
        conditioning_1: [pick(texts), 0],
        conditioning_2: [pick(texts), 0],
      }),
    () =>
      add(latents, 'KSampler', {
        seed: below(9),
        steps: 1 + below(30),
        cfg: 7,
        sampler_name: 'euler',
        scheduler: 'normal',
        denoise: 1,
        model: [pick(['ckpt', 'unet', 'lora']), 0],
        positive: [pick(texts), 0],
        negative: [pick(texts), 0],
        latent_image: [pick(latents), 0],
      }),
    () =>
      add(images, 'VAEDecode', {
        samples: [pick(latents), 0],
        vae: pick([
          ['ckpt', 2],
          ['vae', 0],
        ]),
      }),
    () =>
      images.length > 0 &&
      add(images, 'ImageBatch', { image1: [pick(images), 0], image2: [pick(images), 0] }),
    () =>
      images.length > 0 &&
      add(images, 'PaintFaces', { image: [pick(images), 0], faces: [facesOf(), 0] }),
  ]
  const facesOf = () => {
    const id = String(Object.keys(nodes).length)
    nodes[id] = ['FindFaces', { image: [pick(images), 0] }]
    return id
  }
  for (let count = 3 + below(20); count > 0; count--) pick(steps)()
  add(images, 'VAEDecode', { samples: [latents.at(-1)!, 0], vae: ['ckpt', 2] })
  for (const image of images.filter((_, i) => i === images.length - 1 || chance(0.3)))
    nodes[`save${image}`] = ['SaveImage', { images: [image, 0], filename_prefix: 'x' }]
  return promptOf(nodes)
}

function randomMesh({ below, chance, pick }: Dice): PeerOffer[] {
  const names = Object.keys(models)
  return Array.from({ length: 1 + below(5) }, (_, index) => {
    const about: TestPeer = {
      has: names.filter(() => chance(0.85)).map((name) => (chance(0.03) ? `${name}=other` : name)),
      gflops: pick([300, 2000, 5000, 20_000]),
      waitMs: pick([0, 0, 3000, 30_000]),
      isAway: index > 0 && chance(0.1),
      lacksNodes: chance(0.1) ? ['FindFaces'] : [],
      resident: names.filter(() => chance(0.2)),
      ...(chance(0.5) && { memoryGb: pick([3, 6, 12]) }),
    }
    return peer(`p${index}`, about)
  })
}

/** The plan, or undefined when the mesh cannot run the prompt. */
function planned(
  prompt: Prompt,
  peers: readonly PeerOffer[],
  submitterId = 'id-p0',
): Plan | undefined {
  try {
    return plan(prompt, peers, { submitterId })
  } catch (error) {
    if (error instanceof MeshError && error.code === 'no_peer') return undefined
    throw error
  }
}

const isLoader = (classType: string) => /Loader/.test(classType)

/** Each complaint is a property that does not hold. */
function complaints(prompt: Prompt, peers: readonly PeerOffer[], made: Plan): string[] {
  const found: string[] = []
  const must = (holds: boolean, what: string) => holds || found.push(what)
  const placesOf = new Map<string, number[]>()
  for (const [index, { nodes }] of made.stages.entries())
    for (const { id } of nodes) placesOf.set(id, [...(placesOf.get(id) ?? []), index])
  const { outputs, signatures } = inputOf(prompt, peers)
  for (const id of signatures.keys()) {
    const count = placesOf.get(id)?.length ?? 0
    if (isLoader(prompt[id]!.class_type)) must(count > 0, `loader ${id} is nowhere`)
    else must(count === 1, `node ${id} is in ${count} stages`)
  }
  for (const id of outputs) must(placesOf.has(id), `output ${id} is missing`)
  const order = new Map(made.stages.map(({ id }, index) => [id, index]))
  for (const [index, stage] of made.stages.entries()) {
    must(
      stage.after.every((id) => order.get(id)! < index),
      `stage ${index} comes too early`,
    )
    const inside = new Set<string>()
    for (const { id, inputs } of stage.nodes) {
      for (const value of Object.values(inputs)) {
        if (!isLink(value) || inside.has(value[0])) continue
        const edge = made.edges.find(
          ({ to, nodeId, slot }) => to === stage.id && nodeId === value[0] && slot === value[1],
        )
        must(edge !== undefined, `node ${id} misses ${value[0]}`)
        const source = made.stages.find((one) => one.id === edge?.from)
        const isOffered = source?.outputs.some(
          (one) => one.nodeId === value[0] && one.slot === value[1],
        )
        must(isOffered === true, `nobody offers ${value[0]} to ${id}`)
        must(stage.after.includes(edge?.from ?? ''), `stage ${index} does not wait for its input`)
      }
      inside.add(id)
    }
  }
  const travelling = new Set(['IMAGE', 'LATENT', 'CONDITIONING', 'MASK'])
  for (const { type, bytes } of made.edges) {
    must(travelling.has(type), `a ${type} crosses an edge`)
    must(Number.isFinite(bytes) && bytes > 0, `a ${type} of ${bytes} bytes`)
  }
  for (const { peerId, estimate, rejected } of made.placements) {
    const offer = peers.find(({ advertisement }) => advertisement.peerId === peerId)!
    const [device] = offer.advertisement.devices
    must(
      estimate.memoryBytes <= (device?.totalBytes ?? Number.POSITIVE_INFINITY),
      'memory exceeded',
    )
    must(offer.absence === undefined, 'placed on a peer that is away')
    must(rejected.length === peers.length - 1, 'a peer without a reason')
    must(estimate.finishMs >= estimate.startMs && estimate.startMs >= 0, 'times run backwards')
    must(estimate.finishMs <= made.totals.finishMs, 'a stage ends after the end')
  }
  return found
}

function eachCase(
  t: Test,
  check: (prompt: Prompt, peers: PeerOffer[], random: Dice, seed: number) => void,
): void {
  for (let seed = 1; seed <= CASES; seed++) {
    const random = dice(seed)
    check(randomPrompt(random), randomMesh(random), random, seed)
  }
  t.pass(`${CASES} cases`)
}

t.test('every plan is whole, in order, within memory, and no handle travels', async (t) => {
  let plans = 0
  let splits = 0
  eachCase(t, (prompt, peers, _random, seed) => {
    const made = planned(prompt, peers)
    if (made === undefined) return
    plans++
    if (made.stages.length > 1) splits++
    const found = complaints(prompt, peers, made)
    if (found.length > 0) t.fail(`seed ${seed}: ${found.join('; ')}`)
  })
  t.ok(plans > CASES / 3, `${plans} could be planned`)
  t.ok(splits > CASES / 20, `${splits} were split`)
})

t.test('the order in which peers were heard of does not matter', async (t) => {
  eachCase(t, (prompt, peers, { below }, seed) => {
    const shuffled = [...peers]
    for (let i = shuffled.length - 1; i > 0; i--) {
      const j = below(i + 1)
      ;[shuffled[i], shuffled[j]] = [shuffled[j]!, shuffled[i]!]
    }
    const [one, other] = [planned(prompt, peers), planned(prompt, shuffled)]
    if (JSON.stringify(one) !== JSON.stringify(other)) t.fail(`seed ${seed}`)
  })
})

t.test('a peer more that is faster, idle and has everything makes nothing worse', async (t) => {
  let gains = 0
  eachCase(t, (prompt, peers, _random, seed) => {
    // Which of two files of one name is meant may change with a peer more.
    if (peers.some(({ catalog = [] }) => catalog.some(({ id }) => id === 'other'))) return
    const before = planned(prompt, peers)
    const after = planned(prompt, [
      ...peers,
      peer('zz', { gflops: 40_000, resident: Object.keys(models) }),
    ])
    if (after === undefined) return t.fail(`seed ${seed}: not possible any more`)
    if (before === undefined) return
    // One peer alone is preferred to a split that ends a fifth earlier, so that much may be lost.
    const isAlone = after.stages.length === 1 && before.stages.length > 1
    const limitMs = isAlone ? before.totals.finishMs / 0.8 + 500 : before.totals.finishMs
    if (after.totals.finishMs > limitMs + 1e-6)
      t.fail(`seed ${seed}: ${before.totals.finishMs} became ${after.totals.finishMs}`)
    if (after.totals.finishMs < before.totals.finishMs) gains++
  })
  t.ok(gains > CASES / 4, `${gains} gained`)
})
