/** Which files are one model, whatever they are called. */
import { copyFileSync, readFileSync, renameSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createModelCatalog } from '../../src/models/catalog.ts'
import { contentIdentity, samplePositions } from '../../src/models/content-identity.ts'
import { ModelFolders } from '../../src/models/folders.ts'

/** A .safetensors file of one tensor. */
function modelFile(weights: Buffer): Buffer {
  const header = JSON.stringify({
    w: { dtype: 'U8', shape: [weights.length], data_offsets: [0, weights.length] },
  })
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  return Buffer.concat([length, Buffer.from(header), weights])
}

t.test('equal files have one identity, others another', async (t) => {
  const folder = t.testdir()
  const at = (name: string, bytes: Buffer) => {
    writeFileSync(join(folder, name), bytes)
    return contentIdentity(join(folder, name))
  }
  const weights = Buffer.alloc(2_000_000, 3)
  const first = await at('a.safetensors', modelFile(weights))
  t.match(first, /^[0-9a-f]{64}$/)
  t.equal(await at('b.safetensors', modelFile(weights)), first)
  t.not(await at('c.safetensors', modelFile(Buffer.alloc(2_000_000, 4))), first, 'other weights')
  t.not(await at('d.safetensors', modelFile(weights.subarray(1))), first, 'another size')
  const lastByte = Buffer.from(weights)
  lastByte[lastByte.length - 1] = 9
  t.not(await at('e.safetensors', modelFile(lastByte)), first, 'the last byte counts')
  await t.rejects(at('f.safetensors', modelFile(weights).subarray(0, 20)), {
    code: 'malformed_file',
  })
  await t.rejects(at('g.safetensors', Buffer.alloc(3)), { code: 'malformed_file' })
  await t.resolves(at('h.safetensors', modelFile(Buffer.alloc(0))))
})

t.test('samples lie within the weights, from the first to the last', async (t) => {
  for (const lengthBytes of [0, 1, 4096, 5000, 262_144, 262_145, 10_000_000]) {
    const positions = samplePositions(100, 100 + lengthBytes)
    t.ok(
      positions.every((position) => position >= 100 && position < 100 + lengthBytes),
      String(lengthBytes),
    )
    t.equal(positions.length > 0 ? positions[0] : 100, 100)
  }
  t.equal(samplePositions(100, 10_000_100).at(-1), 10_000_100 - 4096)
})

t.test('the catalog knows names, and computes an identity once', async (t) => {
  const folder = t.testdir({ checkpoints: { sub: {} } })
  const path = join(folder, 'checkpoints', 'sub', 'a.safetensors')
  writeFileSync(path, modelFile(Buffer.alloc(1000, 1)))
  copyFileSync(path, join(folder, 'checkpoints', 'b.safetensors'))
  writeFileSync(join(folder, 'checkpoints', 'broken.safetensors'), 'x')
  const known = new Map<string, string>()
  let computed = 0
  const catalog = createModelCatalog({
    folders: new ModelFolders({
      models: { checkpoints: [join(folder, 'checkpoints')] },
      input: folder,
      output: folder,
      temp: folder,
    }),
    identities: {
      get: async (file, state) => known.get(JSON.stringify([file, state])),
      put: async (file, state, id) => {
        computed++
        known.set(JSON.stringify([file, state]), id)
      },
    },
  })
  const sizeBytes = readFileSync(path).length
  const [b, a, ...others] = await catalog.read()
  t.match(
    [b, a],
    [
      { kind: 'checkpoints', name: 'b.safetensors', sizeBytes },
      { kind: 'checkpoints', name: 'sub/a.safetensors', sizeBytes },
    ],
  )
  t.equal(a!.id, b!.id, 'one model under two names')
  t.strictSame(others, [])
  await catalog.read()
  t.equal(computed, 2)

  writeFileSync(`${path}.new`, modelFile(Buffer.alloc(1000, 2)))
  utimesSync(`${path}.new`, 1, 1)
  renameSync(`${path}.new`, path)
  t.not((await catalog.read())[1]!.id, a!.id, 'other bytes under the same name')
  t.equal(computed, 3)
})
