/** A crash between the moment in which a picture appears and that in which its job knows. */
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { foldJob, type JobEvent, type JobState } from '@comfymesh/protocol/job'
import type { PlannedStage } from '@comfymesh/protocol/plan'
import t from 'tap'
import { createKnownResults } from '../../src/execution/known-results.ts'
import { createLiveJob } from '../../src/execution/live-job.ts'
import { createPictureFiles } from '../../src/execution/picture-files.ts'
import { createStageRecorder } from '../../src/execution/stage-recorder.ts'
import type { StageEvent } from '../../src/executors/executor.ts'
import { tinyPng } from '../fake-executor.ts'

const request = {
  id: 'j',
  number: 1,
  prompt: { 2: { class_type: 'SaveImage', inputs: {} } },
  extraData: {},
  outputs: ['2'],
  createdAtMs: 0,
}
const stage: PlannedStage = {
  id: 's',
  index: 0,
  after: [],
  outputs: [],
  nodes: [{ id: '2', classType: 'SaveImage', inputs: {}, signature: 'x' }],
}
const picture = (batchIndex: number) => ({
  bytes: tinyPng(),
  mediaType: 'image/png' as const,
  width: 1,
  height: 1,
  folder: 'output' as const,
  filenamePrefix: 'p',
  batchIndex,
})
const finished: StageEvent = {
  type: 'node-finished',
  nodeId: '2',
  cached: false,
  elapsedMs: 1,
  pictures: [picture(0), picture(1)],
  warnings: ['half of it is ignored'],
}

/**
 * Runs the node once.
 * @param before what was reported ahead of it.
 * @returns what was written down, and the state it led to.
 */
async function attempt(initial: JobState, output: string, before: readonly StageEvent[] = []) {
  const events: JobEvent[] = []
  const pictures = createPictureFiles({}, { folders: { output, temp: join(output, 'temp') } })
  const job = createLiveJob(initial, {
    store: {
      append: async (...records) => {
        events.push(...records.map(({ event }) => event))
      },
    },
    publish: () => {},
    now: () => 1,
    warn: () => {},
  })
  const recorder = createStageRecorder(
    {
      job,
      stage,
      attemptId: 'a',
      signal: new AbortController().signal,
      peerId: 'p',
      cached: { nodeIds: [], outputs: {} },
      texts: () => [],
      onFailure: () => {},
    },
    { pictures, results: createKnownResults({ filesExist: pictures.exist }) },
  )
  for (const event of before) recorder.report(event)
  recorder.report({ type: 'node-started', nodeId: '2' })
  recorder.report(finished)
  await recorder.settled()
  return { events, state: job.state }
}

t.test('nodes that were known already are told at once, with what they ignored', async (t) => {
  const accepted: JobEvent = { type: 'accepted', jobId: 'j', atMs: 0, request }
  const warnings = ['half of it is ignored']
  const { events } = await attempt(foldJob(undefined, accepted), join(t.testdir(), 'output'), [
    { type: 'node-finished', nodeId: '1', cached: true, elapsedMs: 0, warnings },
  ])
  t.match(events[0], { type: 'nodes-cached', nodeIds: ['1'], warnings: { 1: warnings } })
})

t.test('killed after any of the events, the pictures are saved once', async (t) => {
  const accepted: JobEvent = { type: 'accepted', jobId: 'j', atMs: 0, request }
  const fresh = foldJob(undefined, accepted)
  const whole = await attempt(fresh, join(t.testdir(), 'output'))
  const types = whole.events.map(({ type }) => type)
  t.strictSame(types.slice(-3), ['picture-named', 'picture-named', 'node-finished'])
  t.match(whole.state.nodes, [{ nodeId: '2', warnings: ['half of it is ignored'] }])
  for (let count = types.indexOf('picture-named') + 1; count <= types.length; count++) {
    const output = join(t.testdir(), String(count))
    const killed = await attempt(fresh, output)
    const log = killed.events.slice(0, count)
    // What was not named when the log ended had not appeared either.
    const named = log.flatMap((event) =>
      event.type === 'picture-named' ? event.file.filename : [],
    )
    for (const file of readdirSync(output)) if (!named.includes(file)) rmSync(join(output, file))
    const requeued: JobEvent = { type: 'requeued', jobId: 'j', atMs: 2 }
    const { state } = await attempt([...log, requeued].reduce(foldJob, fresh), output)
    t.strictSame(readdirSync(output), ['p_00001_.png', 'p_00002_.png'], `${count} events`)
    t.match(state.outputs[2], {
      images: [{ filename: 'p_00001_.png' }, { filename: 'p_00002_.png' }],
    })
    t.strictSame(state.named, {})
  }
})
