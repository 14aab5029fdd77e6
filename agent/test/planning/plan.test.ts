/** From prompt to stages and placements, over meshes of one to five peers. */
import t from 'tap'
import {
  manyPictures,
  peer,
  plan,
  promptOf,
  reasons,
  sampled,
  separateFiles,
  shape,
  latent,
  texts,
  textToImage,
} from './meshes.ts'

t.test('x', async (t) => {
  const show = (p: ReturnType<typeof plan>) => console.log(shape(p), p.reason, p.totals, p.placements.map((x) => [x.estimate, x.rejected.map((r) => r.reason)]))
  show(plan(textToImage(), [peer('a')]))
  show(plan(textToImage(), [peer('a'), peer('b', { gflops: 20000 }), peer('c', { memoryGb: 1 })]))
  show(plan(separateFiles(), [peer('a', { has: ['clip.safetensors', 'vae.safetensors'] }), peer('b', { has: ['unet.safetensors'] })]))
  show(plan(manyPictures(8), [peer('a'), peer('b', { gflops: 15000 })]))
  t.ok(true)
})
