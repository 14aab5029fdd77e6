import t from 'tap'
import { compareWithGoldens } from './node-goldens.ts'

compareWithGoldens(t, [
  'EmptyLatentImage',
  'SetLatentNoiseMask',
  'LatentUpscale',
  'LatentUpscaleBy',
  'LatentComposite',
  'LatentBlend',
  'LatentFromBatch',
  'RepeatLatentBatch',
  'LatentFlip',
  'LatentRotate',
  'LatentCrop',
])
