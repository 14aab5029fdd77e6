/** The judge on pictures that are right or wrong in one known way. */
import sharp from 'sharp'
import t from 'tap'
import { type Expected, judge } from './judge.ts'

const circle: Expected = {
  shapes: [{ colour: 'red', shape: 'circle' }],
  background: { kind: 'plain', colours: ['blue'] },
  relation: null,
}
const pair: Expected = {
  shapes: [
    { colour: 'yellow', shape: 'triangle' },
    { colour: 'red', shape: 'square' },
  ],
  background: { kind: 'plain', colours: ['blue'] },
  relation: 'above',
}
const RED = '#dc2626'
const YELLOW = '#fad41e'

async function faults(expected: Expected, shapes: string, background = '#2550dc') {
  const svg = `<svg width="256" height="256" xmlns="http://www.w3.org/2000/svg">
    <rect width="256" height="256" fill="${background}"/>${shapes}</svg>`
  return judge(await sharp(Buffer.from(svg)).removeAlpha().raw().toBuffer(), expected)
}

const disc = `<circle cx="128" cy="128" r="60" fill="${RED}"/>`
const above = `<polygon points="128,20 178,110 78,110" fill="${YELLOW}"/>
  <rect x="88" y="150" width="80" height="80" fill="${RED}"/>`

t.test('what was asked for has no faults', async (t) => {
  t.strictSame(await faults(circle, disc), [])
  t.strictSame(await faults(pair, above), [])
})

t.test('each wrong in its way', async (t) => {
  const wrong: [Expected, string, RegExp, string?][] = [
    [circle, disc, /background lacks blue/, '#22a046'],
    [circle, '<circle cx="128" cy="128" r="60" fill="#22a046"/>', /no red circle/],
    [circle, `<rect x="70" y="70" width="110" height="110" fill="${RED}"/>`, /looks like square/],
    [circle, `${disc}<circle cx="30" cy="30" r="20" fill="white"/>`, /something white besides/],
    [circle, `${disc}<circle cx="30" cy="30" r="20" fill="${RED}"/>`, /something red besides/],
    [pair, above.replaceAll(RED, '#tmp').replaceAll(YELLOW, RED).replaceAll('#tmp', YELLOW), /./],
    [{ ...pair, relation: 'below' }, above, /not below/],
    [
      { ...circle, shapes: [{ colour: 'red', shape: 'circle', where: 'left' }] },
      disc,
      /not at left/,
    ],
    [{ ...circle, shapes: [{ colour: 'red', shape: 'circle', size: 'small' }] }, disc, /not small/],
  ]
  for (const [expected, shapes, pattern, background] of wrong) {
    t.match((await faults(expected, shapes, background)).join('; '), pattern)
  }
})
