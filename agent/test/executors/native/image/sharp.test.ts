import t from 'tap'
import { loadSharp } from '../../../../src/executors/native/image/sharp.ts'
import { nodeRows } from '../../../../src/executors/native/nodes/index.ts'

/** Whether libvips is in this process. */
function hasImageLibrary(): boolean {
  const report = process.report.getReport() as unknown as { readonly sharedObjects: string[] }
  return report.sharedObjects.some((path) => /vips|sharp/i.test(path.split(/[\\/]/).at(-1)!))
}

t.test('node definitions cost no image library', async (t) => {
  const lists = { models: () => [], inputFiles: () => [] }
  for (const row of nodeRows.values()) row.definition(lists)
  t.equal(hasImageLibrary(), false)
  const sharp = await loadSharp()
  t.equal(await loadSharp(), sharp)
  t.equal(hasImageLibrary(), true)
})
