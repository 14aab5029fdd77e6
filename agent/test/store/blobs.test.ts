/** The blob store: what is taken over, what stays, what goes, and what a kill leaves. */
import { createHash, randomBytes } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { CHUNK_BYTES } from '@comfymesh/protocol/value'
import t, { type Test } from 'tap'
import { createBlobHasher } from '../../src/base/blob-hash.ts'
import { NAMING, NAMING_FILE } from '../../src/store/blob-naming.ts'
import { type BlobStore, type BlobStoreOptions, openBlobStore } from '../../src/store/blobs.ts'

const DAY_MS = 24 * 60 * 60 * 1000

async function openStore(
  t: Test,
  options: Partial<BlobStoreOptions> & { readonly now?: () => number } = {},
): Promise<BlobStore & { readonly folder: string; readonly warnings: string[] }> {
  const folder = options.folder ?? join(t.testdir(), 'blobs')
  const warnings: string[] = []
  const store = await openBlobStore(
    { ...options, folder },
    { now: options.now ?? Date.now, warn: (message) => warnings.push(message) },
  )
  t.teardown(() => store.stop())
  return { ...store, folder, warnings }
}

function hashed(bytes: Buffer) {
  const hasher = createBlobHasher()
  hasher.update(bytes)
  return hasher.finish()
}

/** A file as the runner leaves it. */
function staged(store: BlobStore, name: string, bytes: Buffer) {
  const path = join(store.stagingFolder, name)
  writeFileSync(path, bytes)
  return { path, ...hashed(bytes) }
}

t.test('bytes that are put and files that are taken over', async (t) => {
  const store = await openStore(t)
  const bytes = randomBytes(CHUNK_BYTES + 7)
  const { path, blob, digests } = staged(store, 'a', bytes)
  t.equal(store.has(blob.hash), false)
  t.equal(store.path(blob.hash), undefined)
  t.equal(await store.chunkDigests(blob.hash), undefined)
  await store.adopt(path, blob)
  t.equal(existsSync(path), false, 'moved')
  t.strictSame(readFileSync(store.path(blob.hash)!), bytes)
  t.strictSame(await store.chunkDigests(blob.hash), digests, 'computed when needed')
  t.equal(store.sizeBytes(blob.hash), bytes.length)

  t.strictSame(await store.put(bytes), blob, 'the same bytes once')
  const again = staged(store, 'b', bytes)
  await store.adopt(again.path, again.blob, again.digests)
  t.equal(existsSync(again.path), false)
  t.equal(store.totalBytes(), bytes.length)

  const empty = await store.put(Buffer.alloc(0))
  t.strictSame(readFileSync(store.path(empty.hash)!), Buffer.alloc(0))
})

t.test('a file whose digests are known is not read again', async (t) => {
  const store = await openStore(t)
  const { path, blob, digests } = staged(store, 'a', randomBytes(CHUNK_BYTES + 7))
  await store.adopt(path, blob, digests)
  const { hash } = await store.put(Buffer.from('put'))
  for (const one of [blob.hash, hash]) rmSync(store.path(one)!)
  t.strictSame(await store.chunkDigests(blob.hash), digests)
  t.strictSame(await store.chunkDigests(hash), hashed(Buffer.from('put')).digests)
})

t.test('the same bytes taken over several times at once are one blob', async (t) => {
  const store = await openStore(t)
  const files = ['a', 'b', 'c'].map((name) => staged(store, name, Buffer.from('same')))
  await Promise.all(files.map(({ path, blob }) => store.adopt(path, blob)))
  t.equal(store.totalBytes(), 4)
  t.strictSame(readFileSync(store.path(files[0]!.blob.hash)!, 'utf8'), 'same')
  t.strictSame(readdirSync(store.stagingFolder), [])
})

t.test('a file that was cut off is no blob', async (t) => {
  const store = await openStore(t)
  const { path, blob } = staged(store, 'a', randomBytes(100))
  truncateSync(path, 60)
  await t.rejects(store.adopt(path, blob), { code: 'malformed_file' })
  t.equal(store.has(blob.hash), false)
  t.equal(existsSync(path), false)
  await t.rejects(store.adopt(path, blob), { code: 'storage_failed' }, 'a file that is not there')
})

t.test('the least used go when room is needed, the held stay', async (t) => {
  let nowMs = Date.now()
  const store = await openStore(t, { budgetBytes: 250, now: () => nowMs++ })
  const put = async () => (await store.put(randomBytes(100))).hash
  const [first, second] = [await put(), await put()]
  store.path(first)
  const third = await put()
  t.equal(store.has(second), false, 'the least used')
  t.equal(existsSync(join(store.folder, second)), false)
  t.ok(store.has(first) && store.has(third))

  const release = store.hold([first, third])
  const again = store.hold([first])
  const fourth = await put()
  t.ok(store.has(first) && store.has(third) && store.has(fourth), 'over the budget, but held')
  release()
  release()
  const fifth = await put()
  t.ok(store.has(first), 'still held by another')
  t.notOk(store.has(third))
  t.ok(store.has(fifth))
  again()
  await put()
  t.notOk(store.has(first))
  t.equal(store.totalBytes(), 200)
})

t.test('a hold counts for what comes later', async (t) => {
  const store = await openStore(t, { budgetBytes: 100 })
  const bytes = randomBytes(100)
  store.hold([hashed(bytes).blob.hash])
  const { hash } = await store.put(bytes)
  await store.put(randomBytes(100))
  t.ok(store.has(hash))
})

t.test('blobs are there after a restart, those nobody used for a day are not', async (t) => {
  const store = await openStore(t)
  const { hash: kept } = await store.put(Buffer.from('kept'))
  const { hash: old } = await store.put(Buffer.from('old'))
  await store.stop()
  const others = [NAMING_FILE, 'partial', 'staging']
  t.strictSame(readdirSync(store.folder).sort(), [kept, old, ...others].sort())
  const longAgo = new Date(Date.now() - DAY_MS - 1000)
  utimesSync(join(store.folder, old), longAgo, longAgo)
  const next = await openStore(t, { folder: store.folder })
  t.equal(readFileSync(next.path(kept)!, 'utf8'), 'kept')
  t.equal(next.has(old), false)
  t.equal(next.totalBytes(), 4)
})

t.test('a kill: staging is cleared, what was not synced yet is read again', async (t) => {
  const folder = join(t.testdir(), 'blobs')
  mkdirSync(join(folder, 'staging', 'deeper'), { recursive: true })
  mkdirSync(join(folder, 'partial'))
  writeFileSync(join(folder, 'staging', 'half'), 'ha')
  writeFileSync(join(folder, 'partial', 'arriving'), 'arr')
  writeFileSync(join(folder, 'partial', 'given-up'), 'giv')
  const longAgo = new Date(Date.now() - 2 * DAY_MS)
  utimesSync(join(folder, 'partial', 'given-up'), longAgo, longAgo)
  const whole = hashed(Buffer.from('whole')).blob.hash
  const cut = hashed(Buffer.from('cut off by the power')).blob.hash
  const gone = hashed(Buffer.from('marked, but never renamed')).blob.hash
  writeFileSync(join(folder, whole), 'whole')
  writeFileSync(join(folder, cut), 'cut off by')
  for (const hash of [whole, cut, gone]) writeFileSync(join(folder, `${hash}.unsynced`), '')
  writeFileSync(join(folder, 'notes.txt'), 'of the user')
  writeFileSync(join(folder, NAMING_FILE), NAMING)

  const store = await openStore(t, { folder })
  t.equal(readFileSync(store.path(whole)!, 'utf8'), 'whole')
  t.equal(store.has(cut), false)
  t.equal(store.totalBytes(), 5)
  t.strictSame(
    readdirSync(folder, { recursive: true }).sort(),
    [whole, NAMING_FILE, 'notes.txt', 'partial', join('partial', 'arriving'), 'staging'].sort(),
  )
})

t.test('blobs of a folder that are named in another way go, and nothing else', async (t) => {
  const folder = join(t.testdir(), 'blobs')
  mkdirSync(join(folder, 'partial'), { recursive: true })
  const hash = createHash('sha256').update('yesterday').digest('hex')
  for (const name of [hash, `${hash}.unsynced`, join('partial', hash), 'notes.txt']) {
    writeFileSync(join(folder, name), 'yesterday')
  }
  const store = await openStore(t, { folder })
  t.equal(store.has(hash), false)
  t.equal(store.totalBytes(), 0)
  const left = ['notes.txt', NAMING_FILE, 'partial', 'staging']
  t.strictSame(readdirSync(folder, { recursive: true }).sort(), left.sort())
  const blob = await store.put(Buffer.from('today'))
  await store.stop()
  t.ok((await openStore(t, { folder })).has(blob.hash), 'not those of today')
})

t.test('a disk that refuses: said with its code, and nothing is lost', async (t) => {
  const store = await openStore(t)
  const { hash } = await store.put(Buffer.from('kept'))
  // A folder that is gone refuses like a full disk, without filling one.
  rmSync(store.stagingFolder, { recursive: true })
  await t.rejects(store.put(Buffer.from('new')), { code: 'storage_failed', retryable: true })
  t.equal(readFileSync(store.path(hash)!, 'utf8'), 'kept')
  t.equal(store.totalBytes(), 4)
})

t.test('a folder that cannot be made', async (t) => {
  const folder = join(t.testdir({ blobs: 'a file' }), 'blobs')
  await t.rejects(openBlobStore({ folder }, { now: Date.now, warn() {} }), {
    code: 'storage_failed',
  })
})

t.test('what was given up while it arrived goes after a while', async (t) => {
  const folder = join(t.testdir(), 'blobs')
  const partial = join(folder, 'partial')
  mkdirSync(partial, { recursive: true })
  const earlier = new Date(Date.now() - DAY_MS / 12)
  for (const name of ['given-up', 'arriving', 'recent']) {
    writeFileSync(join(partial, name), 'par')
    if (name !== 'recent') utimesSync(join(partial, name), earlier, earlier)
  }
  const store = await openStore(t, { folder, lookMs: 2 })
  const release = store.hold(['arriving'])
  const gone = async (name: string) => {
    while (existsSync(join(partial, name))) await new Promise((resolve) => setImmediate(resolve))
  }
  await gone('given-up')
  t.strictSame(readdirSync(partial).sort(), ['arriving', 'recent'])
  release()
  await gone('arriving')
  t.strictSame(readdirSync(partial), ['recent'])
})
