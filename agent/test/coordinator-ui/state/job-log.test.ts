/** The events of a job in words. */
import { foldJob, type JobEvent } from '@comfymesh/protocol/job'
import t from 'tap'
import { jobLog } from '../../../../coordinator-ui/src/state/job-log.ts'

const prompt = { 5: { class_type: 'KSampler', inputs: {}, _meta: { title: 'Sample' } } }
const request = { id: 'j', number: 1, prompt, extraData: {}, outputs: [], createdAtMs: 0 }
const job = foldJob(undefined, { type: 'accepted', jobId: 'j', atMs: 0, request })

t.test('machines and nodes are called by their names, failures say why', async (t) => {
  const events = [
    { type: 'started' },
    { type: 'node-progress', nodeId: '5', value: 1, max: 9 },
    { type: 'node-finished', nodeId: '5', cached: false, elapsedMs: 4000 },
    { type: 'stage-failed', peerId: 'b', error: { message: 'It died.' } },
    { type: 'stage-failed', peerId: 'b', blamedPeerId: 'c', error: { message: 'It was wrong.' } },
    { type: 'answered', answer: { peer: 'anna' } },
    { type: 'nodes-cached', nodeIds: ['5'], warnings: { 5: ['It is short.'] } },
    { type: 'node-finished', nodeId: '5', elapsedMs: 4000, warnings: ['There is no embedding.'] },
  ].map((event, index) => ({ ...event, jobId: 'j', atMs: index })) as unknown as JobEvent[]
  const log = jobLog(job, events, (id) => (id === 'b' ? 'bert' : id))
  t.strictSame(
    log.map(({ text }) => text),
    [
      'Began',
      'Sample: 4.0 s',
      'Failed on bert: It died.',
      'Failed on bert, by c’s value: It was wrong.',
      'Answered: run it on anna',
      'Known already: Sample. Warning: It is short.',
      'Sample: 4.0 s. Warning: There is no embedding.',
    ],
  )
  t.strictSame(log.filter(({ isBad }) => isBad).length, 2)
})
