/** The coordinator page and several machines, in a real browser. */
import t from 'tap'
import { accessibilityFaults, complaintsOf, testBrowser, withoutBrowser } from '../browser.ts'
import { createNetwork, lacking, TOKEN } from './namespaces.ts'

t.setTimeout(300_000)
const skip = withoutBrowser || (lacking() ?? false)

t.test('a machine is added, goes away, comes back and is removed', { skip }, async (t) => {
  t.testdir()
  const [a, b] = createNetwork(t, 2).machines
  const [anna, bert] = await Promise.all([a!.start('anna'), b!.start('bert')])
  const browser = await testBrowser(t)
  const page = await browser.newPage()
  page.setDefaultTimeout(60_000)
  const complaints = complaintsOf(page)
  await page.goto(`${anna.url}/?token=${TOKEN}#/mesh`)
  await page.getByText('Only this machine so far').waitFor()
  t.notMatch(page.url(), TOKEN, 'the token does not stay in the address')

  await page.getByRole('button', { name: 'Add a machine' }).click()
  const line = await page.getByText(/^comfymesh join cm1_/).textContent()
  t.strictSame(await accessibilityFaults(page), [])
  const joined = await bert.command(...line!.split(' ').slice(1))
  t.equal(joined.code, 0, joined.stderr)
  await page.getByText('bert has joined.').waitFor()
  await page.getByRole('button', { name: 'Done' }).click()

  const card = page.getByRole('region', { name: 'bert' })
  await card.getByText('Connected').waitFor()
  await card.getByText(b!.address).waitFor()

  await page.getByRole('button', { name: 'Test this mesh' }).click()
  const test = page.getByRole('listitem', { name: 'Test of bert' })
  await test.getByAltText(/What it drew/).waitFor()
  await card.getByText('Ready', { exact: true }).waitFor()
  await card.getByRole('img', { name: /^bert over the last minutes/ }).waitFor()
  t.strictSame(await accessibilityFaults(page), [])
  await test.getByRole('link', { name: 'details' }).click()
  await page.getByText(/^Sent to bert/).waitFor()
  t.strictSame(await accessibilityFaults(page), [])

  await page.getByRole('link', { name: 'Settings' }).click()
  await page.getByText(`http://${a!.address}:`).first().waitFor()
  t.notMatch(await page.content(), TOKEN, 'the token waits until somebody asks for it')
  await page.getByRole('button', { name: 'Show the token' }).click()
  await page.getByText(TOKEN, { exact: true }).waitFor()
  await page.getByRole('combobox', { name: 'Machine' }).click()
  await page.getByRole('option', { name: 'bert' }).click()
  await page
    .getByRole('region', { name: 'Lines of the log' })
    .getByText('anna is connected.')
    .waitFor()

  await page.getByRole('link', { name: 'Mesh', exact: true }).click()
  bert.freeze()
  await card.getByText('Away').waitFor()
  bert.thaw()
  await card.getByText('Connected').waitFor()
  t.strictSame(await accessibilityFaults(page), [], 'it has to prove itself anew')

  await page.getByRole('button', { name: 'More about bert' }).click()
  await page.getByRole('menuitem', { name: 'Remove from the mesh' }).click()
  await page.getByRole('button', { name: 'Remove', exact: true }).click()
  await card.waitFor({ state: 'detached' })
  t.strictSame(complaints, [])
})
