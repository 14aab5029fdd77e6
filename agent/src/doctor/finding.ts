/** What a check of `doctor` found out. */
export interface Finding {
  readonly check: string
  /** `note`: works, but could be better; `problem`: prevents work. */
  readonly state: 'ok' | 'note' | 'problem'
  /** May have several lines. */
  readonly message: string
  /** What to do about it. */
  readonly advice?: string
  /** The same for programs. */
  readonly data?: { readonly [name: string]: unknown }
}
