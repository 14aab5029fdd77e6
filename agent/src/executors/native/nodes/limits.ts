/** Limits that many node definitions share. */

/** ComfyUI's MAX_RESOLUTION. */
export const MAX_SIDE_PX = 16384
