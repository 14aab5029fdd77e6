/** Nodes that read pictures from files and hand them out as files. */
import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { MeshError } from '@comfymesh/protocol/errors'
import type { JsonObject } from '@comfymesh/protocol/json'
import type { ModelFolders } from '../../../models/folders.ts'
import { pythonTypeName } from '../../../planning/python-text.ts'
import { PythonError } from '../../../planning/validate-node.ts'
import type { HandedPicture } from '../../executor.ts'
import { slice } from '../array/slicing.ts'
import { reshape } from '../array/tensor.ts'
import { decodePicture, encodePng, type LoadedPicture, pictureExtensions } from '../image/codec.ts'
import { defineNode, type NameLists, type NodeContext, type NodeRow } from '../node.ts'
import type { Image } from '../values.ts'

/** zlib levels: ComfyUI's for results, and for previews, which need to be quick. */
const OUTPUT_LEVEL = 4
const PREVIEW_LEVEL = 1

const maskChannels = ['alpha', 'red', 'green', 'blue'] as const

/** The names that ComfyUI offers: pictures directly in the input folder. */
function pictureNames(lists: NameLists): string[] {
  const readable: readonly string[] = pictureExtensions
  return lists.inputFiles().filter((name) => {
    return !name.includes('/') && readable.includes(extname(name).toLowerCase())
  })
}

async function loadPicture(name: string, folders: ModelFolders): Promise<LoadedPicture> {
  return decodePicture(await readFile(inputPath(name, folders)), name)
}

function inputPath(name: string, folders: ModelFolders): string {
  const path = folders.findInput(name)
  if (path !== undefined) return path
  throw new MeshError('not_found', `The input folder has no file ${name}`)
}

/** The file's SHA-256, so that a changed file is read again. */
async function fingerprint({ image }: JsonObject, folders: ModelFolders): Promise<string> {
  // Named by another node: never the same, because nobody knows the file yet.
  if (typeof image !== 'string') return randomUUID()
  const hash = createHash('sha256')
  await pipeline(createReadStream(inputPath(image, folders)), hash)
  return hash.digest('hex')
}

/** Judged here instead of by the dropdown: files in subfolders and ` [output]` are fine too. */
const validation = {
  inputs: ['image'],
  check: async ({ image }: JsonObject, folders: ModelFolders) => {
    if (typeof image !== 'string') {
      const type = pythonTypeName(image)
      throw new PythonError('AttributeError', `'${type}' object has no attribute 'endswith'`)
    }
    return folders.findInput(image) === undefined ? `Invalid image file: ${image}` : undefined
  },
}

async function encodeBatch(
  images: Image,
  context: NodeContext,
  file: Pick<HandedPicture, 'folder' | 'filenamePrefix'>,
): Promise<HandedPicture[]> {
  const pictures: HandedPicture[] = []
  for (let batchIndex = 0; batchIndex < images.shape[0]!; batchIndex++) {
    await context.throwIfCancelled()
    const level = file.folder === 'output' ? OUTPUT_LEVEL : PREVIEW_LEVEL
    pictures.push({ ...(await encodePng(images, batchIndex, level)), ...file, batchIndex })
  }
  return pictures
}

export const imageFileNodes: NodeRow[] = [
  defineNode({
    name: 'LoadImage',
    displayName: 'Load Image',
    category: 'image',
    inputs: (lists) => ({
      required: { image: [pictureNames(lists), { image_upload: true }] },
    }),
    outputs: ['IMAGE', 'MASK'],
    extra: { essentials_category: 'Basics' },
    run: async ({ image: name }, { folders }) => {
      const { image, mask } = await loadPicture(name, folders)
      return [image, mask]
    },
    fingerprint,
    validation,
  }),

  defineNode({
    name: 'LoadImageMask',
    displayName: 'Load Image (as Mask)',
    category: 'image',
    inputs: (lists) => ({
      required: {
        image: [pictureNames(lists), { image_upload: true }],
        channel: [maskChannels],
      },
    }),
    outputs: ['MASK'],
    extra: { essentials_category: 'Image Tools' },
    run: async ({ image: name, channel }, { folders }) => {
      const { image, mask } = await loadPicture(name, folders)
      if (channel === 'alpha') return [mask]
      const values = slice(image, 3, maskChannels.indexOf(channel) - 1, 1)
      return [reshape(values, image.shape.slice(0, 3))]
    },
    fingerprint,
    validation,
  }),

  defineNode({
    name: 'SaveImage',
    displayName: 'Save Image',
    category: 'image',
    description: 'Saves the input images to your ComfyUI output directory.',
    inputs: () => ({
      required: {
        images: ['IMAGE', {}],
        filename_prefix: ['STRING', { default: 'ComfyUI' }],
      },
      hidden: { prompt: 'PROMPT', extra_pnginfo: 'EXTRA_PNGINFO' },
    }),
    outputs: ['IMAGE'],
    outputNames: ['images'],
    outputNode: true,
    extra: { essentials_category: 'Basics' },
    run: async ({ images, filename_prefix }, context) => {
      const file = { folder: 'output', filenamePrefix: filename_prefix } as const
      return { outputs: [images], pictures: await encodeBatch(images, context, file) }
    },
  }),

  defineNode({
    name: 'PreviewImage',
    displayName: 'Preview Image',
    category: 'image',
    description: 'Preview the images without saving them to the ComfyUI output directory.',
    inputs: () => ({
      required: { images: ['IMAGE'] },
      hidden: { prompt: 'PROMPT', extra_pnginfo: 'EXTRA_PNGINFO' },
    }),
    outputs: ['IMAGE'],
    outputNames: ['images'],
    outputNode: true,
    extra: { essentials_category: 'Basics' },
    run: async ({ images }, context) => {
      const file = { folder: 'temp', filenamePrefix: 'ComfyUI' } as const
      return { outputs: [images], pictures: await encodeBatch(images, context, file) }
    },
  }),

  defineNode({
    name: 'SaveImageWebsocket',
    displayName: 'SaveImageWebsocket',
    category: 'api/image',
    pythonModule: 'custom_nodes.websocket_image_save',
    inputs: () => ({ required: { images: ['IMAGE', {}] } }),
    outputs: [],
    outputNode: true,
    run: async ({ images }, context) => {
      const file = { folder: 'client', filenamePrefix: '' } as const
      return { outputs: [], pictures: await encodeBatch(images, context, file) }
    },
    // Whoever follows a job wants its pictures, also those that another one has had before.
    fingerprint: async () => randomUUID(),
  }),
]
