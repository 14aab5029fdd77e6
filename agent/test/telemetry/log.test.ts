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
  const unfollow = log.follow(({ text }) => followed.push(text))
  for (let index = 0; index < 400; index++) log.info(`line ${index}`)
  unfollow()
  log.warn('x'.repeat(100_000))
  t.equal(followed.length, 400)
  t.equal(followed[0], 'line 0\n')
  const kept = log.recent()
  t.equal(kept.length, 300)
  t.strictSame(kept[0], { at: now(), text: 'line 101\n' })
  t.equal(kept.at(-1)!.text.length, 8192, 'a very long one in part')
})
