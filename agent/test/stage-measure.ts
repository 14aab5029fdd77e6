/** What `stage-finished` says of a stage besides what a test is about. */
export const noMeasure = {
  attemptId: 'a',
  waitMs: 0,
  transferMs: 0,
  transferBytes: 0,
  computeMs: 0,
  values: [],
}
