/** Pictures between peers: small ones inside the message, others as blobs that the sender holds. */
import { readFile } from 'node:fs/promises'
import { MeshError } from '@comfymesh/protocol/errors'
import type { WirePicture, WireSavedPicture } from '@comfymesh/protocol/stage'
import type { Blob } from '@comfymesh/protocol/value'
import type { HandedPicture, Picture } from '../executors/executor.ts'
import type { FetchValues, StageBlobs } from './perform-stage.ts'

/** All pictures of one message that go inside it take at most so much. */
const INLINE_BYTES = 512 * 1024

/** ComfyUI's largest picture, 16384 by 16384, barely compressed. */
const MAX_PICTURE_BYTES = 2 ** 30

/** All pictures of one message are in memory until they are saved. */
const MAX_MESSAGE_BYTES = 2 * 2 ** 30

/** A preview is of the moment: one that does not fit into the message is left out. */
export function wirePreview({ bytes, ...preview }: Picture): WirePicture | undefined {
  return bytes.length > INLINE_BYTES ? undefined : { ...preview, data: inline(bytes) }
}

/** @param put keeps bytes for whoever fetches them. @throws MeshError `storage_failed` */
export async function wirePictures(
  pictures: readonly HandedPicture[],
  put: (bytes: Uint8Array) => Promise<Blob>,
): Promise<WireSavedPicture[]> {
  const sent: WireSavedPicture[] = []
  let roomBytes = INLINE_BYTES
  for (const { bytes, ...picture } of pictures) {
    const isInline = bytes.length <= roomBytes
    if (isInline) roomBytes -= bytes.length
    sent.push({ ...picture, data: isInline ? inline(bytes) : { blob: await put(bytes) } })
  }
  return sent
}

function inline(bytes: Uint8Array): { base64: string } {
  return { base64: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64') }
}

export interface ReceivePictureModules {
  readonly fetch: FetchValues
  readonly blobs: Pick<StageBlobs, 'path' | 'hold'>
}

/**
 * The pictures of one message, brought one after the other.
 * @throws MeshError as `receivedPicture`; `corrupt_value` when they take more than fits into memory.
 */
export async function receivedPictures(
  pictures: readonly WireSavedPicture[],
  peerId: string,
  signal: AbortSignal,
  modules: ReceivePictureModules,
): Promise<HandedPicture[]> {
  const blobBytes = pictures.map(({ data }) => ('blob' in data ? data.blob.sizeBytes : 0))
  const sizeBytes = blobBytes.reduce((sum, bytes) => sum + bytes, 0)
  if (sizeBytes > MAX_MESSAGE_BYTES) {
    const why = `with the others of its node it is said to have ${sizeBytes} bytes`
    throw noPicture(peerId, why)
  }
  const received: HandedPicture[] = []
  for (const picture of pictures) {
    received.push(await receivedPicture(picture, peerId, signal, modules))
  }
  return received
}

/**
 * A picture that a peer sent, with its bytes.
 * @throws MeshError `corrupt_value` with details `{ peerId }` when it is none; as FetchValues.
 */
export async function receivedPicture<P extends WirePicture>(
  { data, ...picture }: P,
  peerId: string,
  signal: AbortSignal,
  modules: ReceivePictureModules,
): Promise<Omit<P, 'data'> & { readonly bytes: Uint8Array }> {
  const bytes =
    'base64' in data
      ? Buffer.from(data.base64, 'base64')
      : await fetchedBytes(data.blob, peerId, signal, modules)
  if (!isWhole(bytes, picture.mediaType))
    throw noPicture(peerId, `it is no ${picture.mediaType}, or a part of one`)
  return { ...picture, bytes }
}

/** How files of a media type begin and end: a PNG with its header and its IEND chunk. */
const signatures = {
  'image/png': { begin: '89504e470d0a1a0a0000000d49484452', end: '0000000049454e44ae426082' },
  'image/jpeg': { begin: 'ffd8ff', end: 'ffd9' },
}

function isWhole(bytes: Uint8Array, mediaType: keyof typeof signatures): boolean {
  const { begin, end } = signatures[mediaType]
  const hex = (part: Uint8Array) => Buffer.from(part).toString('hex')
  return (
    hex(bytes.subarray(0, begin.length / 2)) === begin &&
    hex(bytes.subarray(-end.length / 2)) === end
  )
}

/** This machine could not keep what a peer sent: no fault of the peer's. */
export class OwnFailure extends MeshError {}

async function fetchedBytes(
  blob: Blob,
  peerId: string,
  signal: AbortSignal,
  { fetch, blobs }: ReceivePictureModules,
): Promise<Uint8Array> {
  if (blob.sizeBytes > MAX_PICTURE_BYTES) {
    throw noPicture(peerId, `it is said to have ${blob.sizeBytes} bytes`)
  }
  const release = blobs.hold([blob.hash])
  try {
    await fetch([{ blob, holders: [peerId] }], { signal })
    return await readFile(blobs.path(blob.hash) ?? '')
  } catch (thrown) {
    const { code, message, details } = MeshError.from(thrown)
    if (code !== 'storage_failed') throw thrown
    throw new OwnFailure(code, message, { details, cause: thrown })
  } finally {
    release()
  }
}

function noPicture(peerId: string, why: string): MeshError {
  const message = `The picture that peer ${peerId} sent cannot be used: ${why}. Look at that machine's log and disk.`
  return new MeshError('corrupt_value', message, { details: { peerId } })
}
