/**
 * The shape of a prompt, for those who get one from outside. Apart from workflow.ts, which the
 * runner of models loads: a schema library would take a third of its start.
 */
import { z } from 'zod'

/**
 * Only the outer shape of a prompt: that it is a map of objects. What is wrong
 * inside a node is for validation to say, in ComfyUI's words.
 */
export const promptSchema = z.record(z.string(), z.looseObject({}))
