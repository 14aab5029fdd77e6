/** What an agent tells of itself under /v1/agent and /v1/doctor. */
import { z } from 'zod'

export const agentStateSchema = z.object({
  name: z.string(),
  version: z.string(),
  node: z.string().describe('Version of Node.js'),
  platform: z.string().describe('linux, win32, darwin; and the processor'),
  startedAtMs: z.number(),
  url: z.string().describe('Where this machine reaches it'),
  isOpenToOthers: z.boolean().describe('Whether other machines can reach it'),
  addresses: z.array(z.string()).describe('Where other machines reach it, the likeliest first'),
  asksForToken: z.boolean(),
  logLevel: z.string().describe('The least level of what its log keeps'),
  folders: z.array(z.object({ what: z.string(), path: z.string() })),
})

export type AgentState = z.infer<typeof agentStateSchema>

export const shownTokenSchema = z.object({ token: z.string() })

const findingSchema = z.object({
  check: z.string(),
  state: z.enum(['ok', 'note', 'problem']),
  message: z.string().describe('May have several lines'),
  advice: z.string().optional().describe('What to do about it'),
})

export const examinationSchema = z.object({
  examinedAtMs: z.number(),
  findings: z.array(findingSchema),
})

export type Finding = z.infer<typeof findingSchema>
export type Examination = z.infer<typeof examinationSchema>
