import { foldJob, type JobEvent, type JobState } from '@comfymesh/protocol/job'
import { durationMs, neverBegan, summariseJob } from '@comfymesh/protocol/job-summary'
import type { JsonObject } from '@comfymesh/protocol/json'
import { stringifyJson } from '@comfymesh/protocol/json'
import t from 'tap'

const stamp = { jobId: 'a', atMs: 5 }
const text = 'x'.repeat(200_000)
const request = {
  id: 'a',
  number: 3,
  prompt: {
    1: { class_type: 'Text', inputs: { text } },
    2: { class_type: 'Sampler', inputs: { positive: ['1', 0], seed: 7 } },
  },
  extraData: { extra_pnginfo: { workflow: { id: 'w', nodes: [text] } } } as unknown as JsonObject,
  outputs: ['2'],
  createdAtMs: 1,
}

const folded = (...events: JobEvent[]): JobState =>
  events.reduce<JobState>(foldJob, foldJob(undefined, { ...stamp, type: 'accepted', request }))

t.test('a summary is small, whatever the job carries', async (t) => {
  const error = { code: 'node_failed', message: 'no', details: {} } as const
  const failed = folded(
    { ...stamp, type: 'started', atMs: 2 },
    { ...stamp, type: 'node-started', nodeId: '1', peerId: 'p' },
    { ...stamp, type: 'failed', error, nodeId: '1' },
  )
  const summary = summariseJob(failed)
  t.match(summary, { id: 'a', number: 3, status: 'failed', workflowId: 'w', prompt: { seed: '7' } })
  t.match(summary.failure, { nodeId: '1', classType: 'Text', executed: [], planned: [] })
  t.equal(summary.prompt.text.length, 4096)
  t.ok(stringifyJson(summary as unknown as JsonObject).length < 10_000)
  t.equal(durationMs(summary), 3)
})

t.test('files and what stands for the job', async (t) => {
  const file = (filename: string, type: string) => ({ filename, subfolder: '', type })
  const show = (nodeId: string, output: JsonObject): JobEvent => ({
    ...stamp,
    type: 'node-finished',
    nodeId,
    cached: false,
    elapsedMs: 1,
    output,
  })
  const { files, shown } = summariseJob(
    folded(
      { ...stamp, type: 'started' },
      show('1', { images: [file('shown.png', 'temp')], text: ['words'] }),
      show('2', { images: [file('saved.png', 'output')] }),
    ),
  )
  const saved = { ...file('saved.png', 'output'), nodeId: '2' }
  t.strictSame(files, [saved])
  t.strictSame(shown, {
    count: 2,
    previewableCount: 2,
    preview: { mediaType: 'images', ...saved },
  })
})

t.test('a job that was cancelled while it waited', async (t) => {
  const cancelled = summariseJob(folded({ ...stamp, type: 'interrupted' }))
  t.ok(neverBegan(cancelled))
  t.equal(durationMs(cancelled), 0)
  t.notOk('failure' in cancelled)
  t.notOk(neverBegan(summariseJob(folded())))
})
