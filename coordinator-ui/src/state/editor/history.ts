/** What was before, so that it can be again: every edit one step. */
export interface History<State> {
  readonly past: readonly State[]
  readonly present: State
  readonly future: readonly State[]
  /** What the latest step was about, as long as more of the same belongs to it. */
  readonly topic?: string
}

/** Steps share what they did not change, so this costs little even in large workflows. */
const MOST_STEPS = 200

export function startHistory<State>(present: State): History<State> {
  return { past: [], present, future: [] }
}

/**
 * A step further.
 * @param topic edits of one topic in a row are one step: the letters of a word, a node on its way.
 */
export function step<State>(history: History<State>, next: State, topic?: string): History<State> {
  if (next === history.present) return history
  const isSame = topic !== undefined && topic === history.topic
  const past = isSame ? history.past : [...history.past, history.present].slice(-MOST_STEPS)
  return { past, present: next, future: [], ...(topic !== undefined && { topic }) }
}

/** What comes next is a step of its own, whatever it is about. */
export function ended<State>({ topic: _, ...history }: History<State>): History<State> {
  return history
}

/** Changes what is, without a step: nobody needs to undo what he did not do. */
export function amended<State>(history: History<State>, present: State): History<State> {
  return { ...history, present }
}

export function undone<State>(history: History<State>): History<State> {
  const { past, present, future } = history
  const before = past.at(-1)
  if (before === undefined) return history
  return { past: past.slice(0, -1), present: before, future: [present, ...future] }
}

export function redone<State>({ past, present, future }: History<State>): History<State> {
  const [next, ...later] = future
  if (next === undefined) return { past, present, future }
  return { past: [...past, present], present: next, future: later }
}
