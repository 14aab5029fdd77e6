import { MeshError } from '@comfymesh/protocol/errors'
import t from 'tap'
import {
  exitCodeOf,
  isGiven,
  type OptionRow,
  onlyPositional,
  parseArguments,
  settingFlags,
  settingOptions,
  textOf,
  textsOf,
  UsageError,
} from '../../src/cli/arguments.ts'

const options: OptionRow[] = [
  { flag: 'out', placeholder: '<folder>', description: 'Where' },
  { flag: 'set', placeholder: '<edit>', description: 'What', repeatable: true },
  { flag: 'json', description: 'JSON' },
]

t.test('options of every kind', async (t) => {
  const argv = ['a.json', '--out', 'o', '--set', 'x=1', '--set=y=2', '--json', '-h']
  const given = parseArguments(options, argv)
  t.equal(onlyPositional(given, 'file'), 'a.json')
  t.equal(textOf(given, 'out'), 'o')
  t.strictSame(textsOf(given, 'set'), ['x=1', 'y=2'])
  t.ok(isGiven(given, 'json') && isGiven(given, 'help'))
  const none = parseArguments(options, [])
  t.equal(textOf(none, 'out'), undefined)
  t.strictSame(textsOf(none, 'set'), [])
  t.notOk(isGiven(none, 'json'))
})

t.test('a number below 0 is a value, though it begins as an option does', async (t) => {
  const given = parseArguments(options, ['--out', '-1', '--set', '-2.5', 'a', '--json'])
  t.equal(textOf(given, 'out'), '-1')
  t.strictSame(textsOf(given, 'set'), ['-2.5'])
  t.strictSame(given.positionals, ['a'])
  t.throws(() => parseArguments(options, ['--json', '-1']), /no option -1/)
})

t.test('mistakes are told in words', async (t) => {
  const refuses = (argv: string[], message: RegExp) =>
    t.throws(() => parseArguments(options, argv), { constructor: UsageError, message })
  refuses(['--jsn'], /no option --jsn; did you mean --json\?/)
  refuses(['--frobnicate'], /no option --frobnicate\.$/)
  refuses(['--out'], /^--out needs a value: --out <folder>\.$/)
  refuses(['--out', '--json'], /^--out needs a value: --out <folder>\. .*--out=-/)
  refuses(['--json=1'], /^--json takes no value\.$/)
  t.throws(() => onlyPositional(parseArguments(options, []), 'file'), /Say which file/)
  t.throws(() => onlyPositional(parseArguments(options, ['a', 'b']), 'file'), /'b'/)
})

t.test('settings of an agent among the options', async (t) => {
  const argv = ['--port', '1', '--models', 'a', '--models', 'b', '--vram', '8GB']
  t.strictSame(settingFlags(parseArguments(settingOptions, argv)), {
    port: '1',
    models: ['a', 'b'],
    vram: '8GB',
  })
})

t.test('exit codes', async (t) => {
  t.equal(exitCodeOf(new UsageError('x')), 2)
  t.equal(exitCodeOf(new MeshError('invalid_settings', 'x')), 2)
  t.equal(exitCodeOf(new MeshError('storage_failed', 'x')), 1)
})
