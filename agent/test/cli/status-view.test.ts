import t from 'tap'
import { type AgentStatus, statusLines } from '../../src/cli/status-view.ts'
import { plainTerminal } from './terminals.ts'

const status: AgentStatus = {
  agent: { name: 'studio-pc', version: '0.1.0', url: 'http://127.0.0.1:8288', uptimeMs: 125_000 },
  queue: { summary: '10 queued, 1 running, about 3 min 50 s', paused: false },
  questions: [],
  running: [
    {
      id: 'job',
      startedAtMs: 1,
      nodeCount: 7,
      nodes: [
        { nodeId: '1', title: 'Load Checkpoint', status: 'finished', value: 1, max: 1 },
        { nodeId: '3', title: 'KSampler', status: 'running', value: 10, max: 20 },
      ],
    },
  ],
  checkpoints: [
    { name: 'a.safetensors', sizeBytes: 2 * 2 ** 30, family: 'sd1', resident: true },
    { name: 'b.safetensors', sizeBytes: 2 ** 20, problem: 'It is a Flux model.' },
  ],
  provider: 'cuda',
  mesh: [
    { name: 'studio-pc', state: 'self' },
    { name: 'attic', state: 'away' },
  ],
  disks: [
    { use: 'data', folder: '/data', freeBytes: 9e9 },
    { use: 'output', folder: '/pictures', freeBytes: 9e9 },
  ],
}

t.test('everything at a glance', async (t) => {
  t.strictSame(statusLines(status, plainTerminal), [
    'studio-pc  comfymesh 0.1.0, running for 2 min 5 s',
    '  Address   http://127.0.0.1:8288',
    '  Queue     10 queued, 1 running, about 3 min 50 s',
    '  Running   KSampler ━━━━━━━━━━━━──────────── 10/20, 1 of 7 nodes done',
    '  Models    1 checkpoint: a.safetensors (2 GB, in memory); 1 cannot be used, see `comfymesh doctor`',
    '  Computes  on cuda (last job)',
    '  Mesh      2 machines, 1 away: studio-pc, attic',
    '  Disk      8.4 GB free at /data',
  ])
})

t.test('what is not known is left out', async (t) => {
  const { provider: _, mesh: __, ...rest } = status
  const disks = [{ use: 'data', folder: '/data', freeBytes: null }]
  const lines = statusLines({ ...rest, running: [], checkpoints: [], disks }, plainTerminal)
  t.strictSame(lines.slice(3), ['  Models    0 checkpoints'])
})

t.test('lines fit into a narrow terminal', async (t) => {
  const long = 'A very long title of a node that nobody would ever write, but who knows what comes'
  const running = status.running.map((job) => ({
    ...job,
    nodes: job.nodes.map((node) => ({ ...node, title: long })),
  }))
  const checkpoints = Array.from({ length: 6 }, (_, i) => ({
    name: `sub/folder/some-model-with-a-name-${i}.safetensors`,
    sizeBytes: 2 ** 31,
  }))
  for (const columns of [60, 80]) {
    const lines = statusLines({ ...status, running, checkpoints }, { ...plainTerminal, columns })
    for (const line of lines) t.ok(line.length <= columns, `${columns}: ${line}`)
  }
})
