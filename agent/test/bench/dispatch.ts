/** What the mesh adds to a job that runs on another machine. */
import type { BuiltAgent } from '../built-agent.ts'
import { startBuiltAgent } from '../built-agent.ts'
import type { TestPrompt } from '../e2e/prompts.ts'
import { allOn, joinMesh, planned } from '../loopback-mesh.ts'
import { type Bench, type Benchmark, median } from './benchmark.ts'
import { runTimed } from './timed-job.ts'

const JOBS = 60
const WARM_UP_JOBS = 10

export const dispatch: Benchmark = {
  name: 'dispatch',
  unit: 'ms',
  target: 10,
  better: 'lower',
  about: `a job of one small stage on another agent against the same on the own one, difference of the medians of ${JOBS}`,
  async run(bench) {
    const host = await startMember(bench, 'host')
    const member = await startMember(bench, 'member')
    try {
      await joinMesh(host, member)
      await planned(host, smallPrompt(0), allOn(smallPrompt(0), 'member'))
      const ms = { host: [] as number[], member: [] as number[] }
      for (let i = 0; i < WARM_UP_JOBS + JOBS; i++) {
        for (const name of ['host', 'member'] as const) {
          const prompt = smallPrompt(2 * i + (name === 'host' ? 0 : 1))
          const { jobMs } = await runTimed(host.url, prompt, allOn(prompt, name))
          if (i >= WARM_UP_JOBS) ms[name].push(jobMs)
        }
      }
      const [local, remote] = [median(ms.host), median(ms.member)]
      bench.say(`dispatch: ${local.toFixed(1)} ms here, ${remote.toFixed(1)} ms on the other`)
      return remote - local
    } finally {
      await Promise.all([host.stop(), member.stop()])
    }
  },
}

function startMember(bench: Bench, name: string): Promise<BuiltAgent> {
  return startBuiltAgent(bench.newFolder(), ['--mesh', 'on', '--name', name])
}

/** A picture of one colour, another one each time: nothing of it is known already. */
function smallPrompt(color: number): TestPrompt {
  return {
    '1': { class_type: 'EmptyImage', inputs: { width: 64, height: 64, batch_size: 1, color } },
    '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
  }
}
