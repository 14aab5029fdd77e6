/** A checkpoint of the size that users have: how soon it is ready, and what it takes. */
import { createReadStream } from 'node:fs'
import { basename, dirname } from 'node:path'
import { type BuiltAgent, startBuiltAgent } from '../built-agent.ts'
import { textToImage } from '../e2e/prompts.ts'
import { descendants, linuxProcess } from '../processes.ts'
import { type Bench, type Benchmark, CannotMeasure, median } from './benchmark.ts'
import { runTimed, type TimedJob } from './timed-job.ts'

const OPENS = 3
const STEPS = 6
const READ_BYTES = 4 * 1024 * 1024

/** The smallest picture keeps the steps short, and with them what the first one adds. */
const SMALL_SIDE = 64

export const modelOpen: Benchmark = {
  name: 'model-open',
  unit: 's',
  target: 1,
  better: 'lower',
  about: `2 GB checkpoint, fresh agent: request to first step begun, median of ${OPENS}`,
  async run(bench) {
    const seconds: number[] = []
    for (let i = 0; i < OPENS; i++) {
      await readThrough(await bench.fullSizeCheckpoint())
      const { steps } = await withFullSizeModel(bench, (agent, checkpoint) =>
        runTimed(agent.url, textToImage({ checkpoint, steps: STEPS, side: SMALL_SIDE, seed: i })),
      )
      // The first step's own time cannot be seen; that of the others stands for it.
      seconds.push((steps[0]!.atMs - stepMs(steps)) / 1000)
    }
    return median(seconds)
  },
}

/** The system may have dropped a file from its cache since, and the disk would be measured instead. */
async function readThrough(path: string): Promise<void> {
  for await (const _ of createReadStream(path, { highWaterMark: READ_BYTES }));
}

/** The median length of the steps after the first. */
function stepMs(steps: TimedJob['steps']): number {
  const lengths = steps.slice(1).map(({ value, atMs }, index) => {
    const before = steps[index]!
    return (atMs - before.atMs) / (value - before.value)
  })
  return median(lengths)
}

const POLL_MS = 20

export const peakMemory: Benchmark = {
  name: 'peak-memory',
  unit: 'GB',
  target: 4,
  better: 'lower',
  about: '2 GB checkpoint at 512x512, 2 steps and decoding: peak anonymous memory of the runner',
  async run(bench) {
    if (process.platform !== 'linux') {
      throw new CannotMeasure('only Linux tells anonymous memory; measure there')
    }
    return withFullSizeModel(bench, async (agent, checkpoint) => {
      let peakBytes = 0
      const poll = setInterval(async () => {
        const pids = await descendants(agent.pid)
        const held = pids.map((pid) => linuxProcess(pid)?.anonymousBytes ?? 0)
        peakBytes = Math.max(peakBytes, ...held)
      }, POLL_MS)
      try {
        await runTimed(agent.url, textToImage({ checkpoint, steps: 2, side: 512 }))
      } finally {
        clearInterval(poll)
      }
      return peakBytes / 1e9
    })
  },
}

/** Runs `use` with an agent that has just started and knows the checkpoint. */
async function withFullSizeModel<T>(
  bench: Bench,
  use: (agent: BuiltAgent, checkpoint: string) => Promise<T>,
): Promise<T> {
  const path = await bench.fullSizeCheckpoint()
  const models = dirname(dirname(path))
  const agent = await startBuiltAgent(bench.newFolder(), ['--models', models])
  try {
    return await use(agent, basename(path))
  } finally {
    await agent.stop()
  }
}
