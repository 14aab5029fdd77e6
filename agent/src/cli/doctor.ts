/** `comfymesh doctor`: what this machine has, and what to do about what it lacks. */
import { stringifyJson } from '@comfymesh/protocol/json'
import { version } from '../base/version.ts'
import type { Finding } from '../doctor/finding.ts'
import { type Arguments, isGiven, settingFlags, settingOptions } from './arguments.ts'
import type { Command } from './command.ts'
import { wrap } from './help.ts'
import { loadSettings } from './settings.ts'
import { type Terminal, terminalAt } from './terminal.ts'

export const doctorCommand: Command = {
  name: 'doctor',
  summary: 'Examine this machine and say what to do about what is wrong',
  usage: 'doctor [options]',
  description:
    'Looks at devices, what can compute on them, models, folders and the network port. ' +
    'Ends with 1 when something prevents work.',
  options: [{ flag: 'json', description: 'Prints one JSON object instead of text' }],
  settings: settingOptions,
  examples: [
    { command: 'comfymesh doctor', what: 'everything' },
    { command: 'comfymesh doctor --models ~/ComfyUI', what: 'with these models' },
  ],
  run,
}

async function run(given: Arguments): Promise<number> {
  const refused: string[] = []
  const settings = loadSettings({
    flags: settingFlags(given),
    refused: ({ message }) => refused.push(message),
  })
  // Loaded on demand: other commands need nothing of it.
  const [{ examine }, { checks }] = await Promise.all([
    import('../doctor/checks.ts'),
    import('./doctor/checks.ts'),
  ])
  const terminal = terminalAt(process.stdout)
  const asJson = isGiven(given, 'json')
  if (!asJson) console.log(`comfymesh ${version}\n`)
  const findings: Finding[] = []
  const report = (finding: Finding) => {
    findings.push(finding)
    if (!asJson) console.log(findingLines(finding, terminal).join('\n'))
  }
  for (const message of refused) report({ check: 'Settings', state: 'problem', message })
  await examine(checks, settings, report)
  const isFit = findings.every(({ state }) => state !== 'problem')
  if (asJson) console.log(stringifyJson({ version, ok: isFit, findings }))
  else console.log(`\n${verdict(findings)}`)
  return isFit ? 0 : 1
}

const LABEL_WIDTH = 14

/** The finding, and below it what to do, both wrapped beside the label. */
export function findingLines(finding: Finding, { paint, columns }: Terminal): string[] {
  const mark = {
    ok: paint('green', '✓'),
    note: paint('yellow', '!'),
    problem: paint('red', '✗'),
  }[finding.state]
  const width = Math.max(30, columns - LABEL_WIDTH - 3)
  const indent = ' '.repeat(LABEL_WIDTH + 2)
  const [first = '', ...others] = finding.message.split('\n').flatMap((line) => wrap(line, width))
  const advice = finding.advice === undefined ? [] : wrap(`→ ${finding.advice}`, width)
  return [
    `${mark} ${finding.check.padEnd(LABEL_WIDTH)}${first}`,
    ...others.map((line) => indent + line),
    ...advice.map((line) => indent + paint('cyan', line)),
  ]
}

function verdict(findings: readonly Finding[]): string {
  const count = (state: Finding['state']) => findings.filter((one) => one.state === state).length
  const [problems, notes] = [count('problem'), count('note')]
  if (problems > 0)
    return `${problems === 1 ? 'One problem prevents' : `${problems} problems prevent`} work.`
  return notes > 0 ? 'It works; something could be better.' : 'All is well.'
}
