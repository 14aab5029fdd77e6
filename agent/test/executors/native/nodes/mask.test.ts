import t from 'tap'
import { compareWithGoldens } from './node-goldens.ts'

compareWithGoldens(t, ['MaskToImage', 'ImageToMask'])
