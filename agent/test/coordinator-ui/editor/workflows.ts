/** The workflows of the converter's vectors, and the definitions of their nodes. */
import { readdirSync, readFileSync } from 'node:fs'
import { type ConvertedPrompt, convertWorkflow } from '@comfymesh/protocol/convert/convert-workflow'
import { type JsonObject, parseJson } from '@comfymesh/protocol/json'
import type { NodeDefinitions } from '@comfymesh/protocol/workflow'
import {
  openedWorkflow,
  type Workflow,
} from '../../../../coordinator-ui/src/state/editor/document.ts'
import { goldenDocument } from '../../goldens.ts'

interface Drawing {
  readonly name: string
  readonly input: JsonObject
}

const core = goldenDocument<{ nodes: NodeDefinitions; extra_nodes: NodeDefinitions }>(
  'object_info_core',
)
const drawn = goldenDocument<{ definitions: NodeDefinitions; cases: Drawing[] }>('workflows')

export const definitions: NodeDefinitions = {
  ...core.nodes,
  ...core.extra_nodes,
  ...drawn.definitions,
}

const folder = new URL('../../goldens/convert/', import.meta.url)

/** With their text, because a workflow that is parsed twice is two objects. */
export const drawings: readonly { readonly name: string; readonly text: string }[] = [
  ...readdirSync(folder).flatMap((name) => {
    const { input, resaved } = JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as {
      input: JsonObject
      resaved: JsonObject
    }
    return [
      { name, text: JSON.stringify(input) },
      { name: `${name}, saved again`, text: JSON.stringify(resaved) },
    ]
  }),
  ...drawn.cases.map(({ name, input }) => ({ name, text: JSON.stringify(input) })),
]

export const parsed = (text: string): JsonObject => parseJson(text) as JsonObject

/** A workflow of that name as the editor opens it, another object each time. */
export const drawing = (wanted: string): Workflow =>
  openedWorkflow(parsed(drawings.find(({ name }) => name === wanted)!.text))

export function promptOf(workflow: JsonObject): ConvertedPrompt {
  const options = { now: new Date(2026, 10, 21), random: () => 0 }
  return convertWorkflow(workflow, definitions, options).prompt
}
