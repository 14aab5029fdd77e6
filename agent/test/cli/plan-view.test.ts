/** How a plan reads in a terminal. */
import t from 'tap'
import { planLines } from '../../src/cli/plan-view.ts'
import { peer, plan, separateFiles, textToImage } from '../planning/meshes.ts'
import { plainTerminal } from './terminals.ts'

const prompt = { '9': { class_type: 'SaveImage', inputs: {} } }

const shown = (made: ReturnType<typeof plan>) =>
  planLines({ plan: made, cachedNodeIds: [], warnings: [] }, prompt, plainTerminal)

t.test('one machine', async (t) => {
  t.strictSame(shown(plan(textToImage(), [peer('studio')])), [
    'One stage on studio, done in about 8.5 s',
    'studio runs everything, so nothing travels.',
    '',
    '1  studio  CheckpointLoaderSimple, EmptyLatentImage, 2 CLIPTextEncode, KSampler, VAEDecode, SaveImage',
    '   0 ms to 8.5 s · loads models 2.4 s · computes 6.1 s · needs 1.8 GB',
    '   why   the only peer of the mesh',
  ])
})

t.test('a split plan', async (t) => {
  const made = plan(separateFiles(), [
    peer('laptop', { has: ['clip.safetensors', 'vae.safetensors'] }),
    peer('studio', { has: ['unet.safetensors'] }),
    peer('attic', { isAway: true }),
    peer('cellar', { isAway: true }),
  ])
  const lines = shown(made)
  t.match(lines[0], /^3 stages on 2 machines, done in about /)
  t.equal(lines[1], 'No peer can run everything, so it is cut where the fewest bytes travel.')
  t.ok(lines.includes('   takes CONDITIONING of node pos, of stage 1: 616 KB'), lines.join('\n'))
  t.ok(lines.includes('   not   attic, cellar: away'))
  t.ok(lines.includes('   not   laptop: lacks model unet.safetensors'))
  t.equal(lines.at(-1), '1.5 MB travel between machines.')
})

t.test('what is asked, known or left out', async (t) => {
  const made = plan(textToImage(), [peer('studio')], {
    affinity: { KSampler: 'attic' },
    fallback: 'ask',
  })
  const warnings = [{ nodeId: '9', message: 'Left out: no picture' }, { message: 'odd' }]
  const lines = planLines({ plan: made, cachedNodeIds: ['3'], warnings }, prompt, plainTerminal)
  t.strictSame(lines.slice(0, 2), ['SaveImage (node 9): Left out: no picture', 'odd'])
  t.match(lines[2], /Run it on studio instead\?$/)
  t.ok(lines.includes('Results known already: 1'))
  const nothing = plan(textToImage(), [peer('studio')], { outputs: [] })
  t.equal(shown(nothing)[0], 'Nothing has to run.')
})
