/**
 * What libp2p 3 takes for granted and Node 20 lacks. Imported before libp2p: without it every
 * dial fails with a misleading ECONNRESET.
 */
interface WithResolvers {
  withResolvers?: () => {
    promise: Promise<unknown>
    resolve: (value: unknown) => void
    reject: (reason?: unknown) => void
  }
}

;(Promise as unknown as WithResolvers).withResolvers ??= () => {
  let resolve!: (value: unknown) => void
  let reject!: (reason?: unknown) => void
  const promise = new Promise((resolved, rejected) => {
    resolve = resolved
    reject = rejected
  })
  return { promise, resolve, reject }
}
