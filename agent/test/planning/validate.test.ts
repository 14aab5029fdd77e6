/** ComfyUI's validation, against its own answers (goldens/validation.json). */
import { readFileSync } from 'node:fs'
import { type JsonObject, parseJson } from '@comfymesh/protocol/json'
import t from 'tap'
import { validatePrompt } from '../../src/planning/validate.ts'
import { MAX_NODE_ID_LENGTH, MAX_NODES } from '../../src/planning/validate-shape.ts'
import { testDefinitions, testValidation } from '../fake-executor.ts'

interface Vector {
  readonly name: string
  readonly request: { readonly text: string }
  readonly answer: { readonly status: number; readonly body: JsonObject }
}

const file = new URL('../goldens/validation.json', import.meta.url)
const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vector[]

const validate = (prompt: unknown, more: { targets?: string[] } = {}) =>
  validatePrompt({
    prompt: prompt as JsonObject,
    definitions: testDefinitions,
    custom: testValidation,
    ...more,
  })

/** Tracebacks are Python's. */
const untraced = (value: unknown) =>
  JSON.parse(JSON.stringify(value), (key, item) => (key === 'traceback' ? 0 : item))

t.test('answers as ComfyUI does', async (t) => {
  const refusedAtTheEdge = ['prompt_id bad', 'no prompt key', 'invalid json', 'empty body']
  const cases = vectors.filter(({ name }) => !refusedAtTheEdge.includes(name))
  t.equal(cases.length, 33)
  for (const { name, request, answer } of cases) {
    const { prompt, partial_execution_targets: targets } = parseJson(request.text) as JsonObject
    const result = await validate(prompt, targets ? { targets: targets as string[] } : {})
    t.equal(result.valid, answer.status === 200, `${name}: accepted or not`)
    t.strictSame(untraced(result.nodeErrors), untraced(answer.body.node_errors), `${name}: nodes`)
    if (!result.valid) t.strictSame(untraced(result.error), untraced(answer.body.error), name)
  }
})

t.test('coerces constants on a copy', async (t) => {
  const prompt = {
    1: { class_type: 'TN_Int', inputs: { value: ' 7 ', f: 1, mode: { __value__: 'a' } } },
    2: { class_type: 'TN_Steps', inputs: { x: ['1', 0], steps: 7.9, ms: true, preview: 'false' } },
    3: { class_type: 'TN_Out', inputs: { x: ['2', 0] } },
  }
  const before = structuredClone(prompt)
  const result = await validate(prompt)
  t.strictSame(prompt, before, 'the prompt itself stays as it was')
  if (!result.valid) return t.fail('is valid')
  t.strictSame(result.prompt[1]!.inputs, { value: 7, f: 1, mode: 'a' })
  t.strictSame(result.prompt[2]!.inputs, { x: ['1', 0], steps: 7, ms: 1, preview: true })
})

t.test('64-bit seeds stay intact', async (t) => {
  const seeds = ['18446744073709551615', '9007199254740993', '"18446744073709551615"', '7']
  for (const seed of seeds) {
    const prompt = parseJson(
      `{"1":{"class_type":"TN_Seed","inputs":{"seed":${seed}}},"2":{"class_type":"TN_Out","inputs":{"x":["1",0]}}}`,
    )
    const result = await validate(prompt)
    if (!result.valid) return t.fail(`${seed} is valid`)
    t.equal(String(result.prompt[1]!.inputs.seed), seed.replaceAll('"', ''))
  }
  const beyond = parseJson(
    '{"1":{"class_type":"TN_Seed","inputs":{"seed":18446744073709551616}},"2":{"class_type":"TN_Out","inputs":{"x":["1",0]}}}',
  )
  const result = await validate(beyond)
  t.equal(
    result.nodeErrors[1]?.errors[0]?.message,
    'Value 18446744073709551616 bigger than max of 18446744073709551615',
  )
})

t.test('what Python refuses is refused in its words', async (t) => {
  const messageFor = async (inputs: object) => {
    const result = await validate({
      1: { class_type: 'TN_Int', inputs: { value: 1, ...inputs } },
      3: { class_type: 'TN_Out', inputs: { x: ['1', 0] } },
    })
    return result.nodeErrors[1]?.errors[0]?.details
  }
  t.equal(
    await messageFor({ value: null }),
    "value, None, int() argument must be a string, a bytes-like object or a real number, not 'NoneType'",
  )
  t.equal(
    await messageFor({ value: '7.5' }),
    "value, 7.5, invalid literal for int() with base 10: '7.5'",
  )
  t.equal(await messageFor({ f: 'x' }), "f, x, could not convert string to float: 'x'")
  t.equal(
    await messageFor({ f: { a: [1] } }),
    "f, {'a': [1]}, float() argument must be a string or a real number, not 'dict'",
  )
  t.equal(await messageFor({ f: '5e-1', mode: "it's" }), `mode: "it's" not in ['a', 'b']`)
})

t.test('links', async (t) => {
  await t.test('an exception in an inner node is told of that node', async (t) => {
    const result = await validate({
      1: { class_type: 'TN_Add', inputs: { a: ['9', 0], b: 1 } },
      3: { class_type: 'TN_Out', inputs: { x: ['1', 0] } },
    })
    const [error] = result.nodeErrors[1]!.errors
    t.equal(error?.type, 'exception_during_inner_validation')
    t.equal(error?.details, "'9'")
    t.strictSame(error?.extra_info.linked_node, ['1', 0])
    t.notOk(result.nodeErrors[3], 'the node below has no error of its own')
  })
  await t.test('a diamond is no cycle and each node is told once', async (t) => {
    const result = await validate({
      1: { class_type: 'TN_Int', inputs: { value: 101 } },
      2: { class_type: 'TN_Add', inputs: { a: ['1', 0], b: ['1', 0] } },
      3: { class_type: 'TN_Add', inputs: { a: ['2', 0], b: ['1', 0] } },
      4: { class_type: 'TN_Out', inputs: { x: ['3', 0] } },
      5: { class_type: 'TN_Out', inputs: { x: ['1', 0] } },
    })
    t.strictSame(Object.keys(result.nodeErrors), ['1'])
    t.equal(result.nodeErrors[1]!.errors.length, 1)
    t.strictSame(result.nodeErrors[1]!.dependent_outputs, ['4', '5'])
  })
  await t.test('a node that links to itself', async (t) => {
    const result = await validate({
      1: { class_type: 'TN_Add', inputs: { a: ['1', 0], b: 1 } },
      3: { class_type: 'TN_Out', inputs: { x: ['1', 0] } },
    })
    t.equal(result.nodeErrors[1]?.errors[0]?.details, '1 (TN_Add) -> 1 (TN_Add)')
  })
  await t.test('a chain longer than any stack of calls', async (t) => {
    const length = MAX_NODES - 1
    const prompt: { [id: string]: object } = {
      n0: { class_type: 'TN_Int', inputs: { value: 101 } },
      end: { class_type: 'TN_Out', inputs: { x: [`n${length - 1}`, 0] } },
    }
    for (let index = 1; index < length; index++) {
      const inputs = { a: [`n${index - 1}`, 0], b: 1 }
      prompt[`n${index}`] = { class_type: 'TN_Add', inputs }
    }
    const broken = await validate(prompt)
    t.notOk(broken.valid)
    t.strictSame(Object.keys(broken.nodeErrors), ['n0'])
    prompt.n0 = { class_type: 'TN_Int', inputs: { value: 1 } }
    t.ok((await validate(prompt)).valid)
    prompt.n0 = { class_type: 'TN_Add', inputs: { a: ['n1', 0], b: ['n2', 0] } }
    const looped = await validate(prompt)
    t.strictSame(Object.keys(looped.nodeErrors).sort(), ['n0', 'n1', 'n2'])
    t.match(looped.nodeErrors.n0!.errors[0]!.details, 'n1 (TN_Add) -> n0 (TN_Add) -> n1 (TN_Add)')
  })
  await t.test('slots as Python indexes a tuple', async (t) => {
    const linkedTo = async (slot: unknown) => {
      const result = await validate({
        1: { class_type: 'TN_Int', inputs: { value: 1 } },
        3: { class_type: 'TN_Out', inputs: { x: ['1', slot] } },
      })
      return result.valid || result.nodeErrors[3]!.errors[0]!.details
    }
    t.equal(await linkedTo(0), true)
    t.equal(await linkedTo(-1), true, 'from the end')
    t.equal(await linkedTo(-2), 'tuple index out of range')
    t.equal(await linkedTo('0'), 'tuple indices must be integers or slices, not str')
    t.equal(await linkedTo(null), 'tuple indices must be integers or slices, not NoneType')
    t.equal(await linkedTo(0.5), 'tuple indices must be integers or slices, not float')
  })
  await t.test('wildcards and lists of types', async (t) => {
    const { typesMatch } = await import('../../src/planning/validate-input.ts')
    t.ok(typesMatch('INT', '*'))
    t.ok(typesMatch('*', 'INT'))
    t.ok(typesMatch('INT, FLOAT', 'FLOAT,STRING'))
    t.ok(typesMatch(['a', 'b'], 'COMBO'))
    t.ok(typesMatch(['a', 'b'], ['a', 'b']))
    t.ok(typesMatch('*', ['a', 'b']))
    t.notOk(typesMatch('COMBO', ['a', 'b']))
    t.notOk(typesMatch('INT', 'FLOAT'))
    t.notOk(typesMatch('STRING', ['a', 'b']))
  })
})

t.test('dropdowns', async (t) => {
  const withOptions = (config: unknown, value: unknown) => {
    const base = testDefinitions.TN_Model!
    const input = { required: { pick: config } } as unknown as typeof base.input
    const definitions = { Pick: { ...base, input } }
    const prompt = { 1: { class_type: 'Pick', inputs: { pick: value } } } as unknown as JsonObject
    return validatePrompt({ prompt, definitions })
  }
  const models = [['sub/model.safetensors'], {}]
  const result = await withOptions(models, 'sub\\model.safetensors')
  if (!result.valid) return t.fail('both separators name one model')
  t.equal(result.prompt[1]!.inputs.pick, 'sub/model.safetensors')
  t.ok((await withOptions(['COMBO', { options: ['x'] }], 'x')).valid)
  const many = Array.from({ length: 21 }, (_, index) => `m${index}`)
  const refused = await withOptions([many, {}], 'none')
  t.equal(refused.nodeErrors[1]?.errors[0]?.details, "pick: 'none' not in (list of length 21)")
  t.equal(refused.nodeErrors[1]?.errors[0]?.extra_info.input_config, null)
  const bare = await withOptions([['a', 'b']], 'c')
  const found = bare.nodeErrors[1]?.errors[0]?.extra_info.input_config
  t.strictSame(found, [['a', 'b'], {}], 'settings that the class leaves out are told as empty')
})

t.test('a prompt that is no graph is refused, not thrown at', async (t) => {
  for (const prompt of [null, 5, 'x', [], { 1: 5 }, { 1: null }]) {
    const result = await validate(prompt)
    t.equal(result.valid, false)
    if (!result.valid) t.equal(result.error.type, 'invalid_prompt')
  }
  const withoutInputs = await validate({ 1: { class_type: 'TN_Out' }, 2: { class_type: 'TN_Int' } })
  t.equal(withoutInputs.nodeErrors[1]?.errors[0]?.details, "'inputs'")
  const polluted = await validate(parseJson('{"1":{"class_type":"__proto__","inputs":{}}}'))
  t.equal(!polluted.valid && polluted.error.type, 'missing_node_type')
})

t.test('large prompts', async (t) => {
  const nodes = (count: number, node: (index: number) => object) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`n${index}`, node(index)]))
  const add = (a: unknown, b: unknown = 1) => ({ class_type: 'TN_Add', inputs: { a, b } })
  const out = (id: string) => ({ class_type: 'TN_Out', inputs: { x: [id, 0] } })
  const detailsOf = async (prompt: object) => {
    const result = await validate(prompt)
    return result.valid ? 'valid' : result.error.details
  }

  await t.test('have an end', async (t) => {
    t.equal(await detailsOf(nodes(MAX_NODES, (i) => (i === 0 ? add(1) : out('n0')))), 'valid')
    const many = await detailsOf(nodes(MAX_NODES + 1, (i) => (i === 0 ? add(1) : out('n0'))))
    t.equal(many, `The prompt has ${MAX_NODES + 1} nodes, and ${MAX_NODES} at most are possible`)
    const name = 'x'.repeat(MAX_NODE_ID_LENGTH + 1)
    t.match(await detailsOf({ [name]: add(1) }), /^Node ID '#x{50}\.\.\.' has more than 500/)
  })
  await t.test('a ring of thousands is told of in short', async (t) => {
    const ring = nodes(MAX_NODES - 1, (i) => add([`n${(i + 1) % (MAX_NODES - 1)}`, 0]))
    const result = await validate({ ...ring, out: out('n0') })
    t.notOk(result.valid)
    const cycle = result.nodeErrors.n0?.errors[0]
    t.match(cycle?.details, /^n0 \(TN_Add\) -> .* -> \.\.\. 9899 more -> n0 \(TN_Add\)$/)
    t.ok(JSON.stringify(result).length < 1_000_000)
  })
  await t.test('with a cycle at every node', async (t) => {
    const loops = nodes(5000, (i) => add([`n${i + 1}`, 0], ['n0', 0]))
    const result = await validate({ ...loops, n5000: add(['n0', 0]), out: out('n0') })
    t.notOk(result.valid)
    t.ok(JSON.stringify(result).length < 1_000_000)
  })
  await t.test('with thousands of outputs that depend on thousands of broken nodes', async (t) => {
    const half = MAX_NODES / 2
    const broken = (i: number) => add(i === 0 ? 1 : [`n${i - 1}`, 0], 'x')
    const result = await validate(
      nodes(MAX_NODES, (i) => (i < half ? broken(i) : out(`n${half - 1}`))),
    )
    t.notOk(result.valid)
    t.equal(Object.keys(result.nodeErrors).length, half, 'each broken node is told of')
    t.match(result.nodeErrors.n0?.dependent_outputs, [`n${half}`])
    t.ok(JSON.stringify(result).length < 10_000_000)
  })
})
