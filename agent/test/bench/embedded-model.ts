/** Jobs with the model that ships with the program, as users run them: 20 steps at 256x256. */
import { startBuiltAgent } from '../built-agent.ts'
import { textToImage } from '../e2e/prompts.ts'
import { type Bench, type Benchmark, median } from './benchmark.ts'
import { runTimed, type TimedJob } from './timed-job.ts'

const JOBS = 15

/** The first opens the sessions, the next ones run code that Node has not compiled yet. */
const JOBS_BEFORE = 8

const texts = ['a red circle', 'a yellow star', 'a green square', 'a white ring', 'a pink heart']

export const jobOverhead: Benchmark = {
  name: 'job-overhead',
  unit: 'x',
  target: 1.03,
  better: 'lower',
  about: `time of a job over that of its sessions' runs, warm, median of ${JOBS}`,
  run: async (bench) =>
    median((await warmJobs(bench)).map(({ jobMs, sessionMs }) => jobMs / sessionMs)),
}

export const embeddedPicture: Benchmark = {
  name: 'embedded-picture',
  unit: 's',
  target: 3,
  better: 'lower',
  about: `20 steps at 256x256 from the request to the saved picture, warm, median of ${JOBS}`,
  run: async (bench) => median((await warmJobs(bench)).map(({ jobMs }) => jobMs / 1000)),
}

/** Each with a text and a seed of its own, so that nothing of it is cached. */
function warmJobs(bench: Bench): Promise<TimedJob[]> {
  return bench.once('warm jobs', async () => {
    const agent = await startBuiltAgent(bench.newFolder())
    try {
      const jobs: TimedJob[] = []
      for (let seed = 0; seed < JOBS_BEFORE + JOBS; seed++) {
        const text = `${texts[seed % texts.length]} on a blue background, number ${seed}`
        jobs.push(await runTimed(agent.url, textToImage({ text, seed, steps: 20, side: 256 })))
      }
      return jobs.slice(JOBS_BEFORE)
    } finally {
      await agent.stop()
    }
  })
}
