/**
 * Nodes that the official frontend takes for granted. Version 1.27 looks each of these loaders
 * up before it draws any list of models, and draws none where one is unknown. So the frontend is
 * told of those that no executor has; a prompt that uses one is refused as ever.
 */
import type { NodeDefinition, NodeDefinitions } from '@comfymesh/protocol/workflow'
import type { JobRunner } from '../execution/job-runner.ts'
import { json, type Route } from './route.ts'

const NOT_RUN_HERE = 'No machine of this mesh can run this node yet.'

type Row = readonly [name: string, displayName: string, input: string, output: readonly string[]]

const rows: readonly Row[] = [
  [
    'ImageOnlyCheckpointLoader',
    'Image Only Checkpoint Loader (img2vid model)',
    'ckpt_name',
    ['MODEL', 'CLIP_VISION', 'VAE'],
  ],
  ['LoraLoaderModelOnly', 'Load LoRA (Model)', 'lora_name', ['MODEL']],
  ['ControlNetLoader', 'Load ControlNet Model', 'control_net_name', ['CONTROL_NET']],
  ['UNETLoader', 'Load Diffusion Model', 'unet_name', ['MODEL']],
  ['UpscaleModelLoader', 'Load Upscale Model', 'model_name', ['UPSCALE_MODEL']],
  ['StyleModelLoader', 'Load Style Model', 'style_model_name', ['STYLE_MODEL']],
  ['GLIGENLoader', 'Load GLIGEN Model', 'gligen_name', ['GLIGEN']],
]

const expected: NodeDefinitions = Object.fromEntries(rows.map((row) => [row[0], define(row)]))

/** ComfyUI's routes as they are beside a frontend's page: its list of nodes holds these too. */
export function routesForFrontend(
  routes: readonly Route[],
  { runner }: { readonly runner: Pick<JobRunner, 'definitions'> },
): Route[] {
  const handle = async () => json({ ...expected, ...(await runner.definitions()) })
  return routes.map((route) => (route.path === '/object_info' ? { ...route, handle } : route))
}

function define([name, displayName, input, output]: Row): NodeDefinition {
  return {
    input: { required: { [input]: [[]] } },
    input_order: { required: [input] },
    is_input_list: false,
    output: [...output],
    output_is_list: output.map(() => false),
    output_name: [...output],
    name,
    display_name: displayName,
    description: NOT_RUN_HERE,
    python_module: 'nodes',
    category: 'loaders',
    output_node: false,
    has_intermediate_output: false,
  }
}
