import { stringifyJson } from '@comfymesh/protocol/json'
import t from 'tap'
import { lightened } from '../../src/execution/light-request.ts'

const workflow = { nodes: [{ id: 1, seed: 18446744073709551615n, title: 'ü' }] }
const request = {
  id: 'j',
  number: 1,
  prompt: {},
  extraData: { client_id: 'c', extra_pnginfo: { workflow }, create_time: 5 },
  outputs: [],
  createdAtMs: 5,
}

t.test('a light request is as good as the heavy one', async (t) => {
  const light = lightened(request)
  t.strictSame(light.extraData.extra_pnginfo, { workflow })
  t.equal(stringifyJson(light), stringifyJson(request), 'also the order of its keys')
  t.strictSame({ ...light.extraData }, request.extraData)
  t.equal(stringifyJson(lightened(light)), stringifyJson(request))
})

t.test('a request without a workflow stays as it is', async (t) => {
  for (const extraData of [{}, { extra_pnginfo: null }, { extra_pnginfo: 'odd' }]) {
    const plain = { ...request, extraData }
    t.equal(lightened(plain), plain)
  }
})
