/** The pictures of a job, as its output nodes told them. Pure. */
import type { JobState } from '@comfymesh/protocol/job'
import type { FileName } from '../api/comfyui.ts'
import { isObject } from '../json-object.ts'

export interface MadePicture {
  readonly jobId: string
  readonly file: FileName
}

export function picturesOf(job: JobState): MadePicture[] {
  return Object.values(job.outputs).flatMap(({ images }) =>
    (Array.isArray(images) ? images : []).filter(isObject).map((image) => ({
      jobId: job.request.id,
      file: {
        filename: String(image.filename),
        subfolder: String(image.subfolder ?? ''),
        type: String(image.type ?? 'output'),
      },
    })),
  )
}
