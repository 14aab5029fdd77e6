/** Whether what extra_model_paths.yaml names is there. */
import { doubtsAboutPaths } from '../models/extra-model-paths.ts'
import type { ExaminedSettings } from './checks.ts'
import type { Finding } from './finding.ts'

const CHECK = 'Extra paths'

export async function checkModelPaths({
  extraModelPaths = [],
}: Pick<ExaminedSettings, 'extraModelPaths'>): Promise<Finding[]> {
  return extraModelPaths.flatMap(fileFindings)
}

function fileFindings(file: string): Finding[] {
  const doubts = doubtsAboutPaths(file)
  if (doubts.length === 0) return [{ check: CHECK, state: 'ok', message: file, data: { file } }]
  return doubts.map(({ name, message, advice }) => {
    const data = { file, name }
    return { check: CHECK, state: 'note', message: `${file}: \`${name}\` ${message}`, advice, data }
  })
}
