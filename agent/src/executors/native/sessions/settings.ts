/**
 * What the user may decide about the model sessions, and what became of each provider.
 * Plain data: it crosses the pipe between the agent and its runner.
 */

/** The execution providers we know how to use, in the order in which they are tried. */
export const providerNames = ['cuda', 'directml', 'coreml', 'webgpu', 'cpu'] as const

export type ProviderName = (typeof providerNames)[number]

export interface SessionSettings {
  /** Use this provider and no other. */
  readonly provider?: ProviderName
  /** Threads of the CPU provider; all cores where absent. */
  readonly threads?: number
  /**
   * What all sessions together may hold of the device's memory. For the CPU that is
   * anonymous memory; mapped weights do not count, the system takes them back at need.
   */
  readonly memoryBudgetBytes?: number
}

/** What the self-test found out about a provider; `doctor` prints it. */
export interface ProviderReport {
  readonly name: ProviderName
  readonly ok: boolean
  /** Why it is not used, and what to do about it. Absent when it is fine. */
  readonly reason?: string
  /** True where the fused attention operator gave the right numbers. */
  readonly fusedAttention: boolean
  /** True where computing in half precision is right and worth it; never on the CPU. */
  readonly halfPrecision: boolean
}
