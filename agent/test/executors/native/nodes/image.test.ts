import t from 'tap'
import { compareWithGoldens } from './node-goldens.ts'

compareWithGoldens(t, [
  'EmptyImage',
  'ImageScale',
  'ImageScaleBy',
  'ImageCrop',
  'ImageInvert',
  'ImageBatch',
  'ImageFromBatch',
  'RepeatImageBatch',
])
