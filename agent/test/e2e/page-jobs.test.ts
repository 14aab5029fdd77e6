/** Jobs in the coordinator page: how one went, the history, models, settings and health. */
import type { Page } from 'playwright-core'
import t from 'tap'
import { accessibilityFaults, complaintsOf, sharedBrowser, withoutBrowser } from '../browser.ts'
import type { BuiltAgent } from '../built-agent.ts'
import { sharedAgent } from '../shared-agent.ts'
import { ask, finished } from '../test-agent.ts'

t.setTimeout(300_000)
const idleAgent = sharedAgent(t)
const newPage = sharedBrowser(t)

const LONG_MS = 120_000
const MANY_JOBS = 1000

/** A picture that is made at once, without a model. */
const blank = (color: number) => ({
  1: { class_type: 'EmptyImage', inputs: { width: 64, height: 64, batch_size: 1, color } },
  2: { class_type: 'SaveImage', inputs: { filename_prefix: 'blank', images: ['1', 0] } },
})

async function submit(agent: BuiltAgent, prompt: object): Promise<string> {
  const { body } = await ask(agent, 'POST', '/prompt', { prompt })
  return String(body.prompt_id)
}

async function open(page: Page, { url }: BuiltAgent, path: string): Promise<void> {
  page.setDefaultTimeout(LONG_MS)
  await page.goto(`${url}/#${path}`)
}

t.test('a job opens to where it ran and what happened', { skip: withoutBrowser }, async (t) => {
  const agent = await idleAgent()
  const page = await newPage(t)
  const complaints = complaintsOf(page)
  const id = await submit(agent, blank(255))
  await finished(agent, id)
  await open(page, agent, '/queue')
  await page.getByRole('link', { name: `Job ${id.slice(0, 8)}` }).click()
  await page.getByRole('heading', { name: 'Where it ran' }).waitFor()
  await page.getByText('the only peer of the mesh').waitFor()
  await page.getByText('Accepted into the queue').waitFor()
  await page.getByText('Completed', { exact: true }).last().waitFor()
  await page.getByRole('img', { name: /blank/ }).waitFor()
  t.strictSame(await accessibilityFaults(page), [])

  await page.getByRole('button', { name: 'Run again' }).click()
  await page.waitForURL((url) => url.hash.startsWith('#/jobs/') && !url.hash.endsWith(id))
  await page.getByText('Every result was known already').waitFor()
  await page.getByRole('button', { name: 'Use these settings' }).click()
  await page.getByLabel('Parameters').waitFor()
  t.strictSame(complaints, [])

  await page.goto(`${agent.url}/#/jobs/nobody`)
  await page.getByRole('alert').getByText('There is no job nobody').waitFor()
})

t.test('a job that failed says why, and what to do', { skip: withoutBrowser }, async (t) => {
  const agent = await idleAgent()
  const page = await newPage(t)
  const affinity = { SaveImage: 'attic' }
  const { body } = await ask(agent, 'POST', '/prompt', {
    prompt: blank(1),
    extra_data: { comfymesh: { affinity, fallback: 'none' } },
  })
  await finished(agent, String(body.prompt_id))
  await open(page, agent, `/jobs/${body.prompt_id}`)
  await page.getByRole('alert').getByText(/attic/).waitFor()
  t.strictSame(await accessibilityFaults(page), [])
})

t.test('a thousand jobs scroll, and are found', { skip: withoutBrowser }, async (t) => {
  const agent = await idleAgent()
  const page = await newPage(t)
  const oldest = await submit(agent, blank(7))
  await finished(agent, oldest)
  let last = ''
  for (let done = 1; done < MANY_JOBS; done += 50) {
    const batch = Array.from({ length: 50 }, () => submit(agent, blank(7)))
    last = (await Promise.all(batch)).at(-1)!
  }
  await finished(agent, last)
  await open(page, agent, '/queue')
  const rows = page.getByRole('list', { name: 'Jobs that have ended' }).getByRole('listitem')
  await rows.first().waitFor()
  // As fast as the pages come: the end is reached when the oldest is in sight.
  while ((await page.getByRole('link', { name: `Job ${oldest.slice(0, 8)}` }).count()) === 0) {
    await page.locator('#main').evaluate((main: { scrollTop: number; scrollHeight: number }) => {
      main.scrollTop = main.scrollHeight
    })
    const shown = await rows.count()
    t.ok(shown < 60, `${shown} rows are in the page`)
  }
  await page.getByLabel('Day').fill('2001-01-01')
  await page.getByText('No job has ended that is like that.').waitFor()
})

t.test('models, health and logs', { skip: withoutBrowser }, async (t) => {
  const agent = await idleAgent()
  const page = await newPage(t)
  const complaints = complaintsOf(page)
  await open(page, agent, '/models')
  await page.getByText('Stable Diffusion 1.x').waitFor()
  t.strictSame(await accessibilityFaults(page), [])
  await page.getByLabel('Search the models').fill('nothing like it')
  await page.getByText('No model is like that.').waitFor()

  await page.getByRole('link', { name: 'Settings' }).click()
  await page.getByText(agent.outputDir).first().waitFor()
  await page.getByText('Only programs and browsers of this machine.').waitFor()
  await page.getByText('cpu computes correctly and is used').waitFor()
  t.strictSame(await accessibilityFaults(page), [])
  await page.getByLabel('Search the log').fill('nothing like it')
  await page.getByText('Nothing of that kind was written.').waitFor()
  t.strictSame(complaints, [])
})

t.test(
  'parameters are chosen and named, and words are chosen anew',
  { skip: withoutBrowser },
  async (t) => {
    const agent = await idleAgent()
    const page = await newPage(t)
    await open(page, agent, '/')
    await page.getByRole('button', { name: 'Choose what is shown' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Steps', { exact: true }).uncheck()
    await dialog.getByLabel('Filename prefix', { exact: true }).check()
    await dialog.getByLabel('Name for Filename prefix').fill('File name')
    t.strictSame(await accessibilityFaults(page), [])
    await dialog.getByRole('button', { name: 'Done' }).click()
    await page.getByLabel('File name').waitFor()
    t.equal(await page.getByRole('textbox', { name: 'Steps' }).isVisible(), false)

    await page.getByRole('textbox', { name: 'Prompt', exact: true }).fill('{same|same} cat')
    await page.getByText('Each run takes one of the words').waitFor()
    await page.reload()
    await page.getByLabel('File name').waitFor()
    const accepted = page.waitForResponse((response) => response.url().endsWith('/api/prompt'))
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    const { prompt_id: id } = (await (await accepted).json()) as { prompt_id: string }
    const { body } = await ask(agent, 'GET', `/v1/jobs/${id}`)
    t.match(JSON.stringify(body), /"text":"same cat"/)
    t.match(JSON.stringify(body), /comfymesh_form/, 'the choice goes into the picture')
    const prompt = page.getByRole('textbox', { name: 'Prompt', exact: true })
    t.equal(await prompt.inputValue(), '{same|same} cat', 'what was typed stays')
  },
)
