/** How much of what a node warns of goes into its job; the log of its machine has all. */

export const MAX_WARNINGS = 20

/** Of one, in UTF-16 units. */
export const MAX_WARNING_LENGTH = 1000
