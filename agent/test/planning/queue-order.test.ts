import t from 'tap'
import {
  comparePlaces,
  movedPlaces,
  prioritisedPlace,
  priorityOf,
  type QueuePlace,
  type QueueTarget,
} from '../../src/planning/queue-order.ts'

const line = (places: Record<string, number>): QueuePlace[] =>
  Object.entries(places).map(([id, number]) => ({ id, number }))

/** The ids in the order in which they run after a move. */
function orderAfter(places: QueuePlace[], ids: string[], target: QueueTarget, fresh = 100) {
  const moved = movedPlaces(places, ids, target, fresh)
  if (moved === undefined) return undefined
  const kept = places.filter(({ id }) => !moved.some((place) => place.id === id))
  return [...kept, ...moved].sort(comparePlaces).map(({ id }) => id)
}

const four = line({ a: 1, b: 2, c: 3, d: 4 })

t.test('jobs move to an end or beside another', async (t) => {
  t.strictSame(orderAfter(four, ['c'], { to: 'front' }), ['c', 'a', 'b', 'd'])
  t.strictSame(orderAfter(four, ['b'], { to: 'end' }), ['a', 'c', 'd', 'b'])
  t.strictSame(orderAfter(four, ['d'], { before: 'b' }), ['a', 'd', 'b', 'c'])
  t.strictSame(orderAfter(four, ['a'], { after: 'c' }), ['b', 'c', 'a', 'd'])
  t.strictSame(orderAfter(four, ['d', 'c'], { to: 'front' }), ['d', 'c', 'a', 'b'])
  t.strictSame(orderAfter(four, ['b', 'a'], { to: 'end' }), ['c', 'd', 'b', 'a'])
  t.strictSame(orderAfter(four, ['a', 'd'], { after: 'b' }), ['b', 'a', 'd', 'c'])
  t.strictSame(orderAfter(line({ a: 7 }), ['a'], { to: 'front' }), ['a'])
})

t.test('beside what does not wait, or beside itself', async (t) => {
  t.equal(orderAfter(four, ['a'], { before: 'gone' }), undefined)
  t.equal(orderAfter(four, ['a'], { after: 'a' }), undefined)
})

t.test('only those that move get another number, while there is room', async (t) => {
  t.strictSame(movedPlaces(four, ['d'], { before: 'b' }, 5), [{ id: 'd', number: 1.5 }])
})

t.test('where there is no room, neighbours make some', async (t) => {
  const tied = line({ a: 1, b: 1, c: 1, d: 2 })
  t.strictSame(orderAfter(tied, ['d'], { before: 'b' }), ['a', 'd', 'b', 'c'])
  t.strictSame(orderAfter(tied, ['c'], { after: 'a' }), ['a', 'c', 'b', 'd'])
  const next = 1 + Number.EPSILON
  t.strictSame(orderAfter(line({ a: 1, b: next, c: 3 }), ['c'], { before: 'b' }), ['a', 'c', 'b'])
})

t.test('any number of moves into the same gap', async (t) => {
  let places = four
  for (let i = 0; i < 200; i++) {
    const [, second, third] = places
    const moved = movedPlaces(places, [third!.id], { before: second!.id }, 5)!
    const changed = new Map(moved.map((place) => [place.id, place]))
    places = places.map((place) => changed.get(place.id) ?? place).sort(comparePlaces)
    t.equal(places[1]!.id, third!.id)
  }
})

t.test('what is submitted later stays behind the end and before the front', async (t) => {
  const fresh = 5
  const [end] = movedPlaces(four, ['a'], { to: 'end' }, fresh)!
  t.ok(end!.number > 4 && end!.number < fresh + 1)
  for (const { number } of movedPlaces(four, ['a', 'b'], { to: 'end' }, fresh)!)
    t.ok(number > 4 && number < fresh + 1)
  for (const { number } of movedPlaces(four, ['c', 'd'], { to: 'front' }, fresh)!)
    t.ok(number < 1 && number > -(fresh + 1))
})

t.test('a priority is a range of numbers, within it the order stays', async (t) => {
  for (const number of [0, -0, 7, -7, 1e6]) t.equal(priorityOf(number), 0)
  const [a, b] = [prioritisedPlace(four[0]!, 2), prioritisedPlace(four[1]!, 2)]
  t.ok(comparePlaces(a, b) < 0)
  t.ok(comparePlaces(b, { id: 'front', number: -1000 }) < 0)
  t.equal(priorityOf(a.number), 2)
  t.ok(comparePlaces(prioritisedPlace(four[2]!, 3), a) < 0)
  const low = prioritisedPlace(four[0]!, -1)
  t.ok(comparePlaces({ id: 'later', number: 5000 }, low) < 0)
  t.strictSame(prioritisedPlace(low, 0), four[0], 'and back')
})
