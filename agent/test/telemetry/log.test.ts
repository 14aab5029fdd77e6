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
