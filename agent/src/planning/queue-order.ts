/**
 * The order of the queue. As in ComfyUI a number is a job's place, the lowest (number, id)
 * runs first, and nothing else counts: to move a job is to give it another number.
 */

export interface QueuePlace {
  readonly id: string
  readonly number: number
}

/** Where jobs are moved to: an end of the queue, or beside a job that waits. */
export type QueueTarget =
  | { readonly to: 'front' | 'end' }
  | { readonly before: string }
  | { readonly after: string }

export function comparePlaces(a: QueuePlace, b: QueuePlace): number {
  if (a.number !== b.number) return a.number - b.number
  return a.id < b.id ? -1 : 1
}

/**
 * The new places of jobs that are moved, and of those neighbours that must make room.
 * @param line all jobs that wait, in their order.
 * @param ids which to move; they come to stand in this order.
 * @param fresh the next number of the queue's counter, taken for this: what is submitted
 *   later stays behind what is at the end, and `front` still comes before what is in front.
 * @returns undefined when the job of the target does not wait, or is moved itself.
 */
export function movedPlaces(
  line: readonly QueuePlace[],
  ids: readonly string[],
  target: QueueTarget,
  fresh: number,
): QueuePlace[] | undefined {
  const rest = line.filter(({ id }) => !ids.includes(id))
  const start = startOf(rest, target)
  if (start === undefined) return undefined
  const low = rest[start - 1]?.number
  for (let end = start; ; end++) {
    const chosen = [...ids, ...rest.slice(start, end).map(({ id }) => id)]
    const numbers = numbersBetween(low, rest[end]?.number, chosen.length, fresh)
    // Beyond the end of the line there is always room.
    if (numbers !== undefined) return chosen.map((id, index) => ({ id, number: numbers[index]! }))
  }
}

function startOf(rest: readonly QueuePlace[], target: QueueTarget): number | undefined {
  if ('to' in target) return target.to === 'front' ? 0 : rest.length
  const beside = 'before' in target ? target.before : target.after
  const index = rest.findIndex(({ id }) => id === beside)
  if (index < 0) return undefined
  return 'before' in target ? index : index + 1
}

/** Ascending numbers strictly between two others; undefined where there is no room. */
function numbersBetween(
  low: number | undefined,
  high: number | undefined,
  count: number,
  fresh: number,
): number[] | undefined {
  const spread = (from: number, to: number, parts: number) =>
    Array.from({ length: count }, (_, index) => from + ((to - from) * (index + 1)) / parts)
  if (low === undefined) {
    // Before everything, and behind what is submitted for the front from now on.
    const top = high === undefined ? fresh + count : Math.min(high, count - fresh)
    return spread(top - count - 1, top, count + 1)
  }
  if (high === undefined) {
    const from = Math.max(low, fresh - 1)
    return spread(from, from < fresh ? fresh : from + count, count)
  }
  const numbers = spread(low, high, count + 1)
  const isAscending = [...numbers, high].every(
    (number, index) => number > (index === 0 ? low : numbers[index - 1]!),
  )
  return isAscending ? numbers : undefined
}

/**
 * How far apart the numbers of two priorities lie. More jobs than any queue counts, and few
 * enough digits for a double to tell neighbours within a priority apart.
 */
const PRIORITY_SPAN = 1e9

/** Priorities go from -9 to 9; 0 is what a submitted job has. */
export const MAX_PRIORITY = 9

/** The priority that a number stands for. */
export function priorityOf(number: number): number {
  const priority = -Math.round(number / PRIORITY_SPAN)
  // No job is said to have the priority -0.
  return priority === 0 ? 0 : priority
}

/** The place at another priority: among its jobs in the order that it had before. */
export function prioritisedPlace({ id, number }: QueuePlace, priority: number): QueuePlace {
  return { id, number: number + (priorityOf(number) - priority) * PRIORITY_SPAN }
}
