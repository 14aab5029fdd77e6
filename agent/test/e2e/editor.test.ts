/** The graph editor in a real browser, as somebody uses it who knows ComfyUI. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { type JsonObject, parseJson } from '@comfymesh/protocol/json'
import type { Frame, Locator, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { accessibilityFaults, complaintsOf, sharedBrowser, withoutBrowser } from '../browser.ts'
import { type BuiltAgent, testBuiltAgent } from '../built-agent.ts'
import { sharedAgent } from '../shared-agent.ts'
import { frontendPackage, versionsToTest } from './frontend-package.ts'
import { CHECKPOINT } from './prompts.ts'

t.setTimeout(300_000)
const idleAgent = sharedAgent(t)
const newPage = sharedBrowser(t)

const LONG_MS = 120_000
/** The greatest that there is: more than a number of JavaScript holds. */
const SEED = '18446744073709551615'

async function open(t: Test, { url }: Pick<BuiltAgent, 'url'>, colorScheme?: 'dark') {
  const page = await newPage(t, {
    viewport: { width: 1900, height: 1000 },
    ...(colorScheme && { colorScheme }),
  })
  page.setDefaultTimeout(LONG_MS)
  await page.goto(`${url}/#/editor`)
  await page.getByText('An empty workflow').waitFor()
  return page
}

interface Place {
  readonly x: number
  readonly y: number
}

const nodeAt = (page: Page, id: number) => page.locator(`.react-flow__node[data-id="${id}"]`)
const inputOf = (page: Page, id: number, name: string) =>
  nodeAt(page, id).locator(`[data-handleid="in ${name}"]`)
const outputOf = (page: Page, id: number, slot: number) =>
  nodeAt(page, id).locator(`[data-handleid="out ${slot}"]`)

async function middleOf(locator: Locator): Promise<Place> {
  const { x, y, width, height } = (await locator.boundingBox())!
  return { x: x + width / 2, y: y + height / 2 }
}

async function drag(page: Page, from: Locator, to: Locator | Place): Promise<void> {
  const start = await middleOf(from)
  const end = 'x' in to ? to : await middleOf(to)
  await page.mouse.move(start.x, start.y)
  await page.mouse.down()
  await page.mouse.move((start.x + end.x) / 2, (start.y + end.y) / 2, { steps: 4 })
  await page.mouse.move(end.x, end.y, { steps: 4 })
  await page.mouse.up()
}

/** Types into the list that opened, and takes the best it has. */
async function choose(page: Page, text: string): Promise<void> {
  const list = page.locator('.picker')
  const field = list.getByRole('combobox')
  await field.fill(text)
  await list.getByRole('option').first().waitFor()
  await field.press('Enter')
  await field.waitFor({ state: 'detached' })
}

/** The page draws a little after what was done: looks until it is so, and then says so. */
async function becomes<T>(t: Test, read: () => Promise<T>, wanted: T): Promise<void> {
  const deadlineMs = performance.now() + 30_000
  while ((await read()) !== wanted && performance.now() < deadlineMs) await setTimeout(50)
  t.equal(await read(), wanted)
}

const links = (page: Page) => page.locator('.react-flow__edge')
const nodes = (page: Page) => page.locator('.react-flow__node-node')
const field = (page: Page, name: string) => page.getByRole('textbox', { name, exact: true })

/** By the keys, until the agent has it. */
async function save(page: Page): Promise<void> {
  const answer = page.waitForResponse((response) => response.url().includes('/api/userdata/'))
  await page.keyboard.press('Control+s')
  await answer
  await page.getByLabel('not saved').waitFor({ state: 'detached' })
}

t.test('a workflow from nothing to its picture', { skip: withoutBrowser }, async (t) => {
  const agent = await idleAgent()
  const page = await open(t, agent)
  const complaints = complaintsOf(page)

  await t.test('nodes are found, and links find their nodes', async (t) => {
    await page.mouse.dblclick(120, 300)
    await choose(page, 'load checkpoint')
    await nodeAt(page, 1).waitFor()
    await drag(page, outputOf(page, 1, 1), { x: 520, y: 200 })
    await choose(page, 'text encode')
    await drag(page, outputOf(page, 1, 1), { x: 520, y: 520 })
    await choose(page, 'text encode')
    await drag(page, outputOf(page, 1, 0), { x: 1050, y: 250 })
    await choose(page, 'ksampler')
    await drag(page, outputOf(page, 2, 0), inputOf(page, 4, 'positive'))
    await drag(page, outputOf(page, 3, 0), inputOf(page, 4, 'negative'))
    await drag(page, inputOf(page, 4, 'latent_image'), { x: 960, y: 720 })
    await choose(page, 'empty latent')
    await drag(page, outputOf(page, 4, 0), { x: 1420, y: 250 })
    await choose(page, 'vae decode')
    await drag(page, outputOf(page, 6, 0), { x: 1420, y: 480 })
    await choose(page, 'save image')
    await becomes(t, () => links(page).count(), 8)
  })

  await t.test('only what fits is linked', async (t) => {
    await drag(page, outputOf(page, 1, 0), inputOf(page, 6, 'vae'))
    await becomes(t, () => links(page).count(), 8)
    await drag(page, outputOf(page, 1, 2), inputOf(page, 6, 'vae'))
    await becomes(t, () => links(page).count(), 9)
  })

  await t.test('a socket is linked by the keyboard alone', async (t) => {
    const name = /^Input samples of VAE Decode/
    const sockets = nodeAt(page, 6)
    await sockets.getByRole('button', { name }).focus()
    await page.keyboard.press('Enter')
    await choose(page, 'take the link')
    await becomes(t, () => links(page).count(), 8)
    await sockets.getByRole('button', { name }).press('Enter')
    await choose(page, 'ksampler latent')
    await becomes(t, () => links(page).count(), 9)
  })

  await t.test('it runs, and shows its picture where it is saved', async (t) => {
    await nodeAt(page, 2).getByRole('textbox').fill('a red circle on a blue background')
    for (const [name, value] of [
      ['width of Empty Latent Image', '256'],
      ['height of Empty Latent Image', '256'],
      ['steps of KSampler', '2'],
      ['seed of KSampler', SEED],
    ] as const) {
      await field(page, name).fill(value)
      await field(page, name).press('Enter')
    }
    await page.keyboard.press('Control+Enter')
    await nodeAt(page, 7).locator('img').waitFor()
    await becomes(t, () => page.locator('.editor-node[data-status="finished"]').count(), 7)
    t.not(await field(page, 'seed of KSampler').inputValue(), SEED)
    const [saved] = readdirSync(agent.outputDir).filter((name) => name.startsWith('ComfyUI_'))
    const file = readFileSync(join(agent.outputDir, saved!)).toString('latin1')
    t.ok(file.includes(`"seed": ${SEED}`), 'the prompt is in the picture')
    t.match(file, /"last_node_id": ?7/, 'and the workflow')
  })
  t.strictSame(await accessibilityFaults(page), [])
  t.strictSame(complaints, [])
})

t.test('workflows are opened, edited, saved and kept', { skip: withoutBrowser }, async (t) => {
  const agent = await idleAgent()
  const page = await open(t, agent, 'dark')
  const complaints = complaintsOf(page)
  const drawn = JSON.parse(
    readFileSync(new URL('../goldens/convert/notes_groups.json', import.meta.url), 'utf8'),
  ).input
  await page.getByLabel('A workflow of this computer').setInputFiles({
    name: 'drawn.json',
    mimeType: 'application/json',
    buffer: Buffer.from(JSON.stringify(drawn)),
  })
  await page.getByText('drawn', { exact: true }).waitFor()
  await becomes(t, () => nodes(page).count(), drawn.nodes.length)
  const saved = async (name: string) => {
    const path = encodeURIComponent(`workflows/${name}.json`)
    return parseJson(await (await fetch(`${agent.url}/api/userdata/${path}`)).text())
  }

  await t.test('what is saved unchanged is what was opened', async (t) => {
    await save(page)
    t.strictSame(await saved('drawn'), drawn)
  })

  await t.test('edits, undo and redo', async (t) => {
    const text = page.getByRole('textbox', { name: /^text of / }).first()
    const before = await text.inputValue()
    await text.fill('another text')
    await text.blur()
    await page.getByRole('button', { name: 'Undo (Ctrl Z)' }).click()
    await becomes(t, () => text.inputValue(), before)
    await page.keyboard.press('Control+y')
    await becomes(t, () => text.inputValue(), 'another text')
    await page.getByLabel('not saved').waitFor()
  })

  await t.test('copies, cuts, mutes, collapses', async (t) => {
    const count = await nodes(page).count()
    await page.keyboard.press('Control+a')
    await page.keyboard.press('Control+c')
    await page.keyboard.press('Control+v')
    await nodes(page)
      .nth(2 * count - 1)
      .waitFor()
    await becomes(t, () => page.locator('.react-flow__node-node.selected').count(), count)
    await page.keyboard.press('Delete')
    await becomes(t, () => nodes(page).count(), count)
    await page.keyboard.press('Control+z')
    await becomes(t, () => nodes(page).count(), 2 * count)
    await page.keyboard.press('Control+z')
    await page.keyboard.press('Control+a')
    await becomes(t, () => page.locator('.react-flow__node-node.selected').count(), count)
    await page.keyboard.press('Control+m')
    await becomes(t, () => page.locator('.editor-node[data-mode="muted"]').count(), count)
    await page.keyboard.press('Control+m')
    await page.keyboard.press('Alt+c')
    await becomes(t, () => page.locator('.editor-node[data-collapsed="true"]').count(), count)
    t.strictSame(await accessibilityFaults(page), [])
    await page.keyboard.press('Control+z')
  })

  await t.test('a reload loses nothing', async (t) => {
    await page.reload()
    const text = page.getByRole('textbox', { name: /^text of / }).first()
    await text.waitFor()
    await becomes(t, () => text.inputValue(), 'another text')
    await save(page)
    t.match(JSON.stringify(await saved('drawn')), /another text/)
  })

  await t.test('another page finds it in the folder', async (t) => {
    const other = await open(t, agent)
    await other.keyboard.press('Control+o')
    await choose(other, 'drawn')
    await other.getByText('drawn', { exact: true }).waitFor()
    await becomes(t, () => nodes(other).count(), drawn.nodes.length)
  })
  t.strictSame(complaints, [])
})

t.test('a subgraph is looked into, changed and run', { skip: withoutBrowser }, async (t) => {
  const agent = await idleAgent()
  const page = await open(t, agent)
  const complaints = complaintsOf(page)
  const drawn = parseJson(
    readFileSync(new URL('../goldens/convert/subgraph.json', import.meta.url), 'utf8')
      .replaceAll('v1-5-pruned-emaonly-fp16.safetensors', CHECKPOINT)
      .replaceAll(/\b(512|640)\b/g, '64'),
  ) as unknown as { input: JsonObject & { definitions: { subgraphs: { inputNode: object }[] } } }
  // Beside the nodes, as somebody would have drawn it.
  Object.assign(drawn.input.definitions.subgraphs[0]!.inputNode, { bounding: [-300, 0, 120, 180] })
  await page.getByLabel('A workflow of this computer').setInputFiles({
    name: 'nested.json',
    mimeType: 'application/json',
    buffer: Buffer.from(JSON.stringify(drawn.input)),
  })
  await becomes(t, () => nodes(page).count(), 6)

  await t.test('its nodes and sockets are edited as in any drawing', async (t) => {
    await page.getByRole('button', { name: 'Look inside Sampler+Decode' }).press('Enter')
    await page.getByRole('navigation', { name: 'Subgraph' }).getByText('Sampler+Decode').waitFor()
    await becomes(t, () => nodes(page).count(), 4)
    await becomes(t, () => links(page).count(), 8)
    await field(page, 'cfg of KSampler').fill('3')
    await field(page, 'cfg of KSampler').press('Enter')
    const model = nodeAt(page, 50).getByRole('button', { name: /^Input model of KSampler/ })
    await model.press('Enter')
    await choose(page, 'take the link')
    await becomes(t, () => links(page).count(), 7)
    await drag(page, outputOf(page, -10, 0), inputOf(page, 50, 'model'))
    await becomes(t, () => links(page).count(), 8)
    t.strictSame(await accessibilityFaults(page), [])
  })

  await t.test('it runs, seen from inside and from outside', async (t) => {
    await page.keyboard.press('Control+Enter')
    await becomes(t, () => page.locator('.editor-node[data-status="finished"]').count(), 2)
    await page.keyboard.press('Escape')
    await nodeAt(page, 7).locator('img').first().waitFor()
    await becomes(t, () => nodeAt(page, 10).locator('[data-status="finished"]').count(), 1)
  })

  await t.test('nothing else of the file has changed', async (t) => {
    await save(page)
    const text = await (await fetch(`${agent.url}/api/userdata/workflows%2Fnested.json`)).text()
    const [before, after] = [drawn.input, parseJson(text) as JsonObject].map(withoutInside)
    t.strictSame(after, before)
    t.match(text, /"cfg"|, ?3, ?"euler"|,3,"euler"/)
  })

  await t.test('it is not pasted into itself, and undoing the copy leads out of it', async (t) => {
    await page.keyboard.press('Control+a')
    await page.keyboard.press('Control+c')
    await page.keyboard.press('Control+v')
    await becomes(t, () => nodes(page).count(), 12)
    const inside = page.getByRole('button', { name: 'Look inside Sampler+Decode' })
    await inside.last().press('Enter')
    await becomes(t, () => nodes(page).count(), 4)
    await page.keyboard.press('Control+v')
    await page.getByRole('alert').getByText('cannot contain itself').waitFor()
    await page.keyboard.press('Control+z')
    await becomes(t, () => nodes(page).count(), 6)
    t.equal(await page.getByRole('navigation', { name: 'Subgraph' }).count(), 0)
    await inside.press('Enter')
    await becomes(t, () => nodes(page).count(), 4)
  })
  t.strictSame(complaints, [])
})

/** What an edit inside of a subgraph leaves as it is: all but that, and the ids that it gave out. */
function withoutInside(drawing: JsonObject): JsonObject {
  return { ...drawing, definitions: {}, last_node_id: 0, last_link_id: 0 }
}

t.test(
  'links are led around points, and values come from primitives',
  { skip: withoutBrowser },
  async (t) => {
    const agent = await idleAgent()
    const page = await open(t, agent)
    const complaints = complaintsOf(page)
    await page.getByRole('button', { name: 'Begin with text to image' }).click()
    await becomes(t, () => nodes(page).count(), 7)
    // Lines are drawn after the nodes whose sockets they join.
    const count = 9
    await becomes(t, () => links(page).count(), count)

    await t.test('a point is added, moved and taken away', async (t) => {
      const line = page.locator('.react-flow__edge-interaction').first()
      await line.dblclick()
      const point = page.getByRole('button', { name: /^A point that links go through/ })
      await point.waitFor()
      const start = await middleOf(point)
      await drag(page, point, { x: start.x + 30, y: start.y + 60 })
      await becomes(t, async () => Math.round((await middleOf(point)).y - start.y), 60)
      await point.press('ArrowDown')
      await becomes(t, async () => (await middleOf(point)).y > start.y + 60, true)
      t.strictSame(await accessibilityFaults(page), [])
      await point.press('Delete')
      await becomes(t, () => point.count(), 0)
      t.equal(await links(page).count(), count)
    })

    await t.test('a primitive is found for the socket of a widget', async (t) => {
      const steps = page.locator('.widget-row', { has: field(page, 'steps of Sample') })
      await drag(page, steps.locator('.react-flow__handle'), { x: 960, y: 860 })
      await choose(page, 'PrimitiveNode')
      await becomes(t, () => links(page).count(), count + 1)
      const value = field(page, 'steps of PrimitiveNode')
      t.equal(await value.inputValue(), '20')
      await value.fill('2')
      await value.press('Enter')
      const accepted = page.waitForRequest((request) => request.url().endsWith('/api/prompt'))
      await page.keyboard.press('Control+Enter')
      t.match((await accepted).postData(), /"steps":2,/)
    })
    t.strictSame(complaints, [])
  },
)

t.test('what is wrong stands at its node', { skip: withoutBrowser }, async (t) => {
  const agent = await idleAgent()
  const page = await open(t, agent)
  await page.mouse.dblclick(300, 300)
  await choose(page, 'save image')
  await page.keyboard.press('Control+Enter')
  await page
    .getByRole('alert')
    .getByRole('button', { name: /Save Image/ })
    .waitFor()
  await nodeAt(page, 1).locator('.widget-problem', { hasText: 'images' }).waitFor()
  t.strictSame(await accessibilityFaults(page), [])
})

t.test('from Create to the editor and back', { skip: withoutBrowser }, async (t) => {
  const agent = await idleAgent()
  const page = await newPage(t, { viewport: { width: 1440, height: 900 } })
  page.setDefaultTimeout(LONG_MS)
  await page.goto(agent.url)
  await page.getByLabel('Steps').fill('3')
  await page.getByRole('button', { name: 'Open in the editor' }).click()
  await field(page, 'steps of Sample').waitFor()
  t.equal(await field(page, 'steps of Sample').inputValue(), '3')
  await field(page, 'steps of Sample').fill('4')
  await field(page, 'steps of Sample').press('Enter')
  await page.getByRole('button', { name: 'Workflow', exact: true }).click()
  await page.getByRole('menuitem', { name: 'Use in Create' }).click()
  await page.getByLabel('Parameters').waitFor()
  t.equal(await page.getByLabel('Steps').inputValue(), '4')
})

t.test(
  'what is drawn here opens in the official frontend, and comes back',
  { skip: withoutBrowser },
  async (t) => {
    const found = frontendPackage(versionsToTest()[0]!)
    if ('missing' in found) return t.comment(`NOT TESTED: ${found.missing}`)
    const agent = await testBuiltAgent(t, undefined, ['--frontend', found.folder])
    const page = await open(t, agent)
    await page.getByRole('button', { name: 'Begin with text to image' }).click()
    await nodes(page).nth(6).waitFor()
    await page.getByRole('button', { name: 'Workflow', exact: true }).click()
    await page.getByRole('menuitem', { name: 'Open in ComfyUI' }).click()
    await field(page, 'Name').fill('drawn here')
    await page.getByRole('button', { name: 'Save', exact: true }).click()
    const frame = await (await page.waitForSelector('iframe')).contentFrame()
    await frame!.waitForFunction(
      `window.app?.extensionManager?.workflow?.activeWorkflow?.path === 'workflows/drawn here.json'`,
    )

    await t.test('what was saved there is open here', async (t) => {
      const saved = page.waitForResponse(
        (response) => response.url().includes(DRAWN_HERE) && response.request().method() === 'POST',
      )
      await changeSteps(frame!, 7)
      await saved
      await page.getByRole('link', { name: 'Editor' }).click()
      await becomes(t, () => field(page, 'steps of Sample').inputValue(), '7')
      await page.getByLabel('not saved').waitFor({ state: 'detached' })
    })

    await t.test('and nobody’s changes are lost', async (t) => {
      await field(page, 'steps of Sample').fill('8')
      await field(page, 'steps of Sample').press('Enter')
      const drawn = await (await fetch(`${agent.url}/api/userdata/${DRAWN_HERE}`)).text()
      await fetch(`${agent.url}/api/userdata/${DRAWN_HERE}`, { method: 'POST', body: drawn })
      await page.getByRole('link', { name: 'Queue' }).click()
      await page.getByRole('heading', { name: 'Queue' }).waitFor()
      await page.getByRole('link', { name: 'Editor' }).click()
      await page.getByText('drawn here was saved elsewhere').waitFor()
      t.strictSame(await accessibilityFaults(page), [])
      await page.keyboard.press('Control+s')
      await page.getByText('There is a workflow of that name').waitFor()
      await page.getByRole('button', { name: 'Cancel', exact: true }).click()
      await page.getByRole('button', { name: 'Open what was saved' }).click()
      await becomes(t, () => field(page, 'steps of Sample').inputValue(), '7')
    })
  },
)

const DRAWN_HERE = encodeURIComponent('workflows/drawn here.json')

/** In the official frontend, which saves it as soon as it has noticed. */
async function changeSteps(frame: Frame, steps: number): Promise<void> {
  await frame.waitForFunction(`(() => {
    const sampler = app.graph.nodes.find(({ type }) => type === 'KSampler')
    sampler.widgets.find(({ name }) => name === 'steps').value = ${steps}
    const { changeTracker: tracker, activeState } = app.extensionManager.workflow.activeWorkflow
    if (tracker.captureCanvasState) tracker.captureCanvasState()
    else tracker.checkState()
    const drawn = activeState.nodes.find(({ type }) => type === 'KSampler')
    return drawn.widgets_values.includes(${steps})
  })()`)
  await frame.evaluate(`app.extensionManager.workflow.activeWorkflow.save()`)
}
