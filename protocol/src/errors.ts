/**
 * Every error that can cross a process boundary, one row a code.
 *
 * A message says what happened, to what, and what to do about it. Codes and
 * details cross the wire; stacks and causes stay where they arose.
 */

/** What a caller may do with an error of this code. */
interface ErrorRow {
  /** True when the same work may succeed on another attempt or another peer. */
  readonly retryable: boolean
}

export const errorCodes = {
  /** The prompt, or a value in it, is not acceptable. */
  invalid_prompt: { retryable: false },
  /** A request to our API is not as its description (GET /v1/openapi.json) says. */
  invalid_request: { retryable: false },
  /** The request shows no token, or comes from a page or by a name that may not ask. */
  forbidden: { retryable: false },
  /** A flag, an environment variable or a settings file holds something unusable. */
  invalid_settings: { retryable: false },
  /** A file has not the content that its name or header promises. */
  malformed_file: { retryable: false },
  /** A model file is sound, but of a family that no executor here can run. */
  unsupported_model: { retryable: false },
  /** A named model, image or job does not exist here. */
  not_found: { retryable: false },
  /** A node's own computation refused its inputs. */
  node_failed: { retryable: false },
  /** The user cancelled. */
  interrupted: { retryable: false },
  /** Not enough memory of the device or the host. */
  out_of_memory: { retryable: true },
  /** No peer of the mesh can run a stage. */
  no_peer: { retryable: false },
  /** A peer of the mesh does not answer, or its connection broke. */
  peer_unreachable: { retryable: true },
  /** A peer runs a comfymesh that does not speak what is asked. */
  peer_incompatible: { retryable: false },
  /** An invite is unreadable, expired, used up or withdrawn. */
  invite_refused: { retryable: false },
  /** This machine is not, or no longer, a member of the mesh. */
  not_a_member: { retryable: false },
  /** Another agent has the same identity: a data folder was copied. */
  duplicate_identity: { retryable: false },
  /** The mesh of this agent is off, or could not start. */
  mesh_unavailable: { retryable: false },
  /** Bytes of a value are not those that its maker named, or not of the shape their type has. */
  corrupt_value: { retryable: true },
  /** No peer has the bytes of a value any more; the stage that made it has to run again. */
  value_lost: { retryable: true },
  /** The runner process died while it worked. */
  runner_died: { retryable: true },
  /** The queue is full. */
  busy: { retryable: true },
  /** The disk is full, read-only or gone. */
  storage_failed: { retryable: true },
  /** A bug of ours. */
  internal: { retryable: false },
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof errorCodes

/** How an error looks on the wire. */
export interface ErrorReport {
  readonly code: ErrorCode
  readonly message: string
  readonly details: { readonly [name: string]: unknown }
}

export class MeshError extends Error {
  override readonly name = 'MeshError'
  readonly code: ErrorCode
  readonly details: { readonly [name: string]: unknown }

  constructor(
    code: ErrorCode,
    message: string,
    options: { details?: { readonly [name: string]: unknown }; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details ?? {}
  }

  get retryable(): boolean {
    return errorCodes[this.code].retryable
  }

  toReport(): ErrorReport {
    return { code: this.code, message: this.message, details: this.details }
  }

  static fromReport(report: ErrorReport): MeshError {
    return new MeshError(report.code, report.message, { details: report.details })
  }

  /** An error that another process reported; a code of a newer release counts as a bug there. */
  static fromWire(report: Omit<ErrorReport, 'code'> & { readonly code: string }): MeshError {
    const { code, message, details } = report
    const known = Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : 'internal'
    return new MeshError(known, message, { details })
  }

  /** Any thrown value as a MeshError; what is not one already is a bug of ours. */
  static from(thrown: unknown): MeshError {
    if (thrown instanceof MeshError) return thrown
    const message = thrown instanceof Error ? thrown.message : String(thrown)
    return new MeshError('internal', message, { cause: thrown })
  }
}
