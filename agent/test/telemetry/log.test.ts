import t from 'tap'
import { createLog, type LogLevel } from '../../src/telemetry/log.ts'

const now = () => new Date(2026, 0, 1, 9, 5, 7)

function lines(level: LogLevel): string[] {
  const written: string[] = []
  const log = createLog({ level, now, write: (line) => written.push(line) })
  log.debug('d')
  log.info('i')
  log.warn('w', new Error('why'))
  log.error('e', 'text')
  return written
}

t.test('levels', async (t) => {
  t.strictSame(lines('info'), [
    '09:05:07 i\n',
    '09:05:07 warn: w: why\n',
    '09:05:07 error: e: text\n',
  ])
  t.strictSame(lines('error'), ['09:05:07 error: e: text\n'])
  t.strictSame(lines('silent'), [])
  t.match(lines('debug')[2], /warn: w: Error: why\n\s+at /, 'with its stack')
})

t.test('the last lines are kept, and followed', async (t) => {
  const log = createLog({ level: 'info', now, write: () => {} })
  const followed: string[] = []
  log.debug('not shown, so not kept')
  const unfollow = log.follow(({ message }) => followed.push(message))
  for (let index = 0; index < 2100; index++) log.info(`line ${index}`)
  unfollow()
  log.warn('x'.repeat(100_000))
  t.equal(followed.length, 2100)
  t.equal(followed[0], 'line 0')
  const kept = log.recent({ limit: 10_000 })
  t.equal(kept.length, 2000)
  t.match(kept[0], { atMs: now().getTime(), level: 'info', message: 'line 101' })
  t.equal(kept.at(-1)!.message.length, 8192, 'a very long one in part')
})

t.test('what followed a line is asked for by its id', async (t) => {
  let clockMs = 5000
  const start = () => createLog({ level: 'info', now: () => new Date(clockMs), write: () => {} })
  const log = start()
  for (const word of ['one', 'two', 'three']) log.info(word)
  const messages = (request: Parameters<typeof log.recent>[0]) =>
    log.recent(request).map(({ message }) => message)
  const { id } = log.recent({ limit: 3 })[0]!
  t.strictSame(messages({ limit: 2 }), ['two', 'three'])
  t.strictSame(messages({ after: id, limit: 1 }), ['two'])
  t.strictSame(messages({ after: id + 2, limit: 9 }), [])
  clockMs = 60_000
  const restarted = start()
  restarted.info('after a restart')
  t.equal(restarted.recent({ after: id + 2, limit: 9 }).length, 1, 'ids grow over restarts')
})
