import t from 'tap'
import { createMachineSpeed } from '../../src/execution/machine-speed.ts'
import type { Executor } from '../../src/executors/executor.ts'
import type { Benchmarks, KeptBenchmark } from '../../src/store/benchmarks.ts'

function memory(): Benchmarks {
  const kept = new Map<string, KeptBenchmark>()
  return {
    get: async (conditions) => kept.get(conditions),
    put: async (conditions, benchmark) => void kept.set(conditions, benchmark),
  }
}

interface Life {
  readonly benchmarks: Benchmarks
  readonly version?: string
  readonly provider?: string
  readonly device?: string
  readonly benchmark?: NonNullable<Executor['benchmark']>
}

/** The part of an agent, started, and what it warned of. */
function live({ benchmarks, version = '1', provider, device = 'A CPU', ...executor }: Life) {
  const warnings: string[] = []
  const speed = createMachineSpeed(
    { version, settings: { ...(provider !== undefined && { provider }) }, delayMs: 0 },
    {
      executor: { name: 'native', ...executor },
      benchmarks,
      devices: { read: async () => [{ name: device, kind: 'cpu', totalBytes: 1 }] },
      warn: (message) => warnings.push(message),
    },
  )
  const told: KeptBenchmark[] = []
  speed.start((benchmark) => told.push(benchmark))
  return { speed, warnings, told }
}

t.test('measured once for each machine, provider and version', async (t) => {
  const benchmarks = memory()
  let measured = 0
  const benchmark = async () => ({ gflops: ++measured, provider: 'cpu' })
  const changes = [{}, { version: '2' }, { provider: 'cuda' }, { device: 'Another' }]
  for (const [index, change] of changes.entries()) {
    for (const time of ['first', 'second']) {
      const { speed, told } = live({ benchmarks, benchmark, ...change })
      await speed.settled()
      t.same(speed.current(), { gflops: index + 1, provider: 'cpu' }, time)
      t.same(told, [speed.current()])
    }
  }
})

t.test('a measurement that fails is told of, and tried again by the next start', async (t) => {
  const benchmarks = memory()
  const failing = async () => Promise.reject(new Error('the driver is gone'))
  const { speed, warnings } = live({ benchmarks, benchmark: failing })
  await speed.settled()
  t.match(warnings, [/could not be measured/])
  t.equal(speed.current(), undefined)
  const next = live({ benchmarks, benchmark: async () => ({ gflops: 7, provider: 'cpu' }) })
  await next.speed.settled()
  t.match(next.speed.current(), { gflops: 7 })
})

t.test('what cannot be kept counts all the same', async (t) => {
  const full = { ...memory(), put: async () => Promise.reject(new Error('disk full')) }
  const { speed, warnings } = live({
    benchmarks: full,
    benchmark: async () => ({ gflops: 7, provider: 'cpu' }),
  })
  await speed.settled()
  t.match(warnings, [/could not be kept/])
  t.match(speed.current(), { gflops: 7 })
})

t.test('stopping ends a measurement, and says nothing', async (t) => {
  let begun = () => {}
  const measuring = new Promise<void>((resolve) => {
    begun = resolve
  })
  const { speed, warnings, told } = live({
    benchmarks: memory(),
    benchmark: (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(new Error('interrupted')))
        begun()
      }),
  })
  await measuring
  speed.stop()
  await speed.settled()
  t.equal(speed.current(), undefined)
  t.same([...warnings, ...told], [])
})

t.test('where there is nothing to measure nothing is known', async (t) => {
  const { speed, warnings } = live({ benchmarks: memory() })
  await speed.settled()
  t.equal(speed.current(), undefined)
  t.same(warnings, [])
})
