import t from 'tap'
import { compareWithGoldens } from './node-goldens.ts'

compareWithGoldens(t, ['ImagePadForOutpaint', 'ImageCompositeMasked'])
