import { nodeName } from '@comfymesh/protocol/prompt-nodes'
import t from 'tap'

t.test('a node by its title and class, as far as it has them', async (t) => {
  const prompt = {
    '3': { class_type: 'KSampler', _meta: { title: 'My\nsampler' } },
    '4': { class_type: 'SaveImage', _meta: { title: 'SaveImage' } },
    '5': { _meta: { title: 'Mine' } },
    '6': {},
  }
  t.equal(nodeName(prompt, '3'), '"My sampler" (KSampler, node 3)')
  t.equal(nodeName(prompt, '4'), 'SaveImage (node 4)')
  t.equal(nodeName(prompt, '5'), 'Mine (node 5)')
  t.equal(nodeName(prompt, '6'), 'node 6')
  t.equal(nodeName(prompt, 'constructor'), 'node constructor')
})
