/** Headers that keep a browser from running, framing or leaking what the agent hands out. */

/**
 * Of every answer, unless its route says otherwise: data, pictures and files that users made.
 * Whatever they hold, opened as a page it may neither run scripts nor load anything.
 */
const DATA_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; media-src 'self'; frame-ancestors 'self'; sandbox"

/** Of the coordinator page: all that it is comes from this agent, and styles are set by its scripts. */
export const COORDINATOR_POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; " +
  "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

/** Of an official frontend, whose extensions do as they like. */
export const FRONTEND_POLICY =
  "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; " +
  "style-src 'self' 'unsafe-inline'; img-src * data: blob:; media-src * data: blob:; connect-src * data: blob:; " +
  "object-src 'none'; base-uri 'self'; frame-ancestors 'self'"

/** @param isShared whether pages of other origins may use the agent. */
export function answerHeaders(isShared: boolean): { readonly [name: string]: string } {
  return {
    'content-security-policy': DATA_POLICY,
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'SAMEORIGIN',
    // A token in an address stays between its owner and this agent.
    'referrer-policy': 'no-referrer',
    'cross-origin-resource-policy': isShared ? 'cross-origin' : 'same-site',
  }
}
