/** The model that ships with the program draws what prompts say, as an independent judge sees it. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { testBuiltAgent } from '../built-agent.ts'
import { type Expected, judge } from '../embedded-model/judge.ts'
import { pixelsOf, textToImage } from './prompts.ts'

// On a machine that is busy with other things, too.
t.setTimeout(900_000)

interface Case {
  readonly prompt: string
  readonly seed: number
  readonly expected: Expected
}

const file = new URL('../../../training/prompts.json', import.meta.url)
const cases = JSON.parse(readFileSync(file, 'utf8')) as Case[]

const LEAST_RIGHT = 36

t.test(`${LEAST_RIGHT} of 40 pictures are right`, async (t) => {
  t.equal(cases.length, 40)
  const agent = await testBuiltAgent(t)
  const wrong: string[] = []
  for (const { prompt, seed, expected } of cases) {
    const pixels = await pixelsOf(agent, textToImage({ text: prompt, seed, steps: 20, side: 256 }))
    const faults = judge(Buffer.from(pixels, 'hex'), expected)
    if (faults.length > 0) wrong.push(`${prompt}: ${faults.join('; ')}`)
  }
  t.comment(`${cases.length - wrong.length} right\n${wrong.join('\n')}`)
  t.ok(cases.length - wrong.length >= LEAST_RIGHT, wrong.join('\n'))
})
