/** With what a picture is made, as people say it: what a list of jobs shows of a prompt. Pure. */
import { z } from 'zod'
import type { JsonValue } from './json.ts'
import { isLink, type Prompt } from './workflow.ts'

export const promptSummarySchema = z.object({
  text: z.string().describe('What the picture is to show; empty where no sampler tells'),
  model: z.string().optional().describe('The checkpoint'),
  seed: z.string().optional().describe('In decimal: it may have 64 bits'),
  width: z.number().optional(),
  height: z.number().optional(),
  steps: z.number().optional(),
  cfg: z.number().optional(),
})

export type PromptSummary = z.infer<typeof promptSummarySchema>

/** Of inputs that several nodes have, the first counts: pictures are rarely made with two. */
export function summarisePrompt(prompt: Prompt): PromptSummary {
  const model = constant(prompt, 'ckpt_name')
  const seed = constant(prompt, 'seed') ?? constant(prompt, 'noise_seed')
  return {
    text: positiveText(prompt),
    ...(typeof model === 'string' && { model }),
    ...((typeof seed === 'number' || typeof seed === 'bigint') && { seed: String(seed) }),
    ...numbers(prompt, ['width', 'height', 'steps', 'cfg']),
  }
}

function numbers<T extends string>(prompt: Prompt, names: readonly T[]): { [name in T]?: number } {
  const entries = names.flatMap((name) => {
    const value = constant(prompt, name)
    return typeof value === 'number' ? [[name, value] as const] : []
  })
  return Object.fromEntries(entries) as { [name in T]?: number }
}

function constant(prompt: Prompt, name: string): JsonValue | undefined {
  for (const { inputs } of Object.values(prompt)) {
    const value = inputs?.[name]
    if (value !== undefined && !isLink(value)) return value
  }
  return undefined
}

/** The texts that lead into the first sampler's `positive`, through whatever nodes combine them. */
function positiveText(prompt: Prompt): string {
  for (const { inputs } of Object.values(prompt)) {
    if (isLink(inputs?.positive)) return textsAbove(prompt, inputs.positive[0]).join(', ')
  }
  return ''
}

function textsAbove(prompt: Prompt, start: string): string[] {
  const texts: string[] = []
  const seen = new Set<string>()
  const waiting = [start]
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    const inputs = prompt[id]?.inputs
    if (inputs === undefined || seen.has(id)) continue
    seen.add(id)
    if (typeof inputs.text === 'string' && inputs.text.trim() !== '') texts.push(inputs.text.trim())
    for (const [name, value] of Object.entries(inputs)) {
      if (isLink(value) && name.startsWith('conditioning')) waiting.push(value[0])
      // A text that another node holds.
      if (isLink(value) && name === 'text') {
        const held = prompt[value[0]]?.inputs?.value
        if (typeof held === 'string') texts.push(held)
      }
    }
  }
  return texts
}
