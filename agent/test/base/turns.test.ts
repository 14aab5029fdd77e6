import t from 'tap'
import { createTurns, untilAborted } from '../../src/base/turns.ts'

const never = new AbortController().signal

t.test('turns come in order of arrival, one at a time', async (t) => {
  const take = createTurns()
  const order: string[] = []
  const work = async (name: string): Promise<void> => {
    const release = await take(never)
    order.push(`${name} in`)
    await new Promise((resolve) => setImmediate(resolve))
    order.push(`${name} out`)
    release()
  }
  await Promise.all(['a', 'b', 'c'].map(work))
  t.same(order, ['a in', 'a out', 'b in', 'b out', 'c in', 'c out'])
})

t.test('who leaves the line holds nobody up and lets nobody pass', async (t) => {
  const take = createTurns()
  const release = await take(never)
  const controller = new AbortController()
  const leaving = take(controller.signal)
  let thirdIn = false
  const third = take(never).then((done) => {
    thirdIn = true
    done()
  })
  controller.abort()
  await t.rejects(leaving, { code: 'interrupted' })
  await new Promise((resolve) => setImmediate(resolve))
  t.notOk(thirdIn, 'the first still has the turn')
  release()
  await third
  t.ok(thirdIn)
})

t.test('untilAborted passes outcomes on', async (t) => {
  t.equal(await untilAborted(Promise.resolve(3), never), 3)
  await t.rejects(untilAborted(Promise.reject(new Error('no')), never), { message: 'no' })
  await t.rejects(untilAborted(new Promise(() => {}), AbortSignal.abort()), { code: 'interrupted' })
})
