/** The tensors of a file as the tree of modules that their dotted names spell. */
import { MeshError } from '@comfymesh/protocol/errors'
import { malformedFile, type Safetensors } from './safetensors.ts'

export interface TensorTree {
  /** Whether any tensor's name is `path` or begins with `path.`. */
  has(path: string): boolean
  /** Names of the modules and tensors right below, e.g. ['0', '1'] of `input_blocks.4`. */
  children(path: string): readonly string[]
  /**
   * How many numbered modules lie below: 1 + the highest number.
   * @throws MeshError `malformed_file` where a number before it is absent.
   */
  count(path: string): number
  /** @throws MeshError `malformed_file` where the tensor is absent or has another rank. */
  shape(name: string, rank: number): readonly number[]
}

export function tensorTree(file: Safetensors): TensorTree {
  const below = new Map<string, Set<string>>()
  for (const name of file.tensors.keys()) {
    for (let dot = name.length; dot > 0; ) {
      const parent = name.slice(0, Math.max(0, name.lastIndexOf('.', dot - 1)))
      const child = name.slice(parent === '' ? 0 : parent.length + 1, dot)
      const siblings = below.get(parent)
      if (siblings) siblings.add(child)
      else below.set(parent, new Set([child]))
      dot = parent.length
    }
  }
  const has = (path: string) => below.has(path) || file.tensors.has(path)
  const children = (path: string) => [...(below.get(path) ?? [])]
  return {
    has,
    children,
    count(path) {
      const numbers = children(path)
        .filter((child) => /^\d+$/.test(child))
        .map(Number)
      const count = numbers.length === 0 ? 0 : Math.max(...numbers) + 1
      for (let index = 0; index < count && count !== numbers.length; index++) {
        if (!has(`${path}.${index}`)) throw missingTensors(file, [`${path}.${index}.*`])
      }
      return count
    },
    shape(name, rank) {
      const entry = file.tensors.get(name)
      if (!entry) throw missingTensors(file, [name])
      if (entry.shape.length !== rank) {
        throw malformedFile(file.path, `${name} has the shape [${entry.shape}], not ${rank} sides`)
      }
      return entry.shape
    },
  }
}

/** Some tensors of a network are there and others are not. */
export function missingTensors(file: Safetensors, names: readonly string[]): MeshError {
  const shown = names.slice(0, 3).join(', ')
  const rest = names.length > 3 ? ` and ${names.length - 3} more` : ''
  return new MeshError(
    'malformed_file',
    `${file.path} is incomplete: it lacks ${shown}${rest}. Get a whole copy of the model.`,
    { details: { path: file.path, missing: names.slice(0, 20) } },
  )
}
