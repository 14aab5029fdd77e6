/** The cases of goldens/networks.json by kind of network. */
import { type Checkpoint, describeCheckpoint } from '../../../../src/models/family.ts'
import { openSafetensors } from '../../../../src/models/safetensors.ts'
import { goldenCases } from '../../../goldens.ts'
import {
  ruleValues,
  type Shapes,
  type StoredType,
  writeRuleModel,
} from '../../../models/model-files.ts'

export interface NetworkCase {
  readonly kind: 'unet' | 'vae' | 'text'
  readonly name: string
  readonly dtype: StoredType
  readonly shapes: Shapes
  readonly runs: readonly {
    readonly inputs: { readonly [input: string]: { name: string; shape: number[] } }
    readonly timesteps?: readonly number[]
    readonly tokens?: readonly number[]
    readonly outputs: { readonly [output: string]: string }
  }[]
}

export function networkCases(kind: NetworkCase['kind']): NetworkCase[] {
  return goldenCases<NetworkCase>('networks').filter((one) => one.kind === kind)
}

/** Writes the case's weights into the folder and reads them as a user's model. */
export async function openCase(
  folder: string,
  { shapes, dtype, name }: NetworkCase,
  storedAs: StoredType = dtype,
): Promise<Checkpoint> {
  const path = writeRuleModel(folder, shapes, { dtype: storedAs, name: `${name}-${storedAs}` })
  return describeCheckpoint(await openSafetensors(path))
}

export function inputValues({ name, shape }: { name: string; shape: number[] }): Float32Array {
  return ruleValues(
    name,
    shape.reduce((product, size) => product * size, 1),
  )
}
