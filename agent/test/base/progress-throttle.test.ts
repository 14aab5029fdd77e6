import t from 'tap'
import { createProgressThrottle } from '../../src/base/progress-throttle.ts'

t.test('as ComfyUI: ten a second, and only what moves a bar', async (t) => {
  let nowMs = 0
  const isDue = createProgressThrottle(() => nowMs)
  const step = (atMs: number, value: number, max: number, more = {}) => {
    nowMs = atMs
    return isDue({ nodeId: '1', value, max, ...more })
  }
  t.ok(step(0, 1, 1000), 'the first')
  t.notOk(step(99, 50, 1000), 'too soon')
  t.ok(step(100, 50, 1000))
  t.notOk(step(900, 54, 1000), 'too little')
  t.ok(step(901, 55, 1000))
  t.ok(step(902, 56, 1000, { preview: 'any' }), 'one with a preview')
  t.ok(step(903, 1000, 1000), 'the last')
  t.ok(isDue({ nodeId: '2', value: 1, max: 9 }), 'another node')
})
