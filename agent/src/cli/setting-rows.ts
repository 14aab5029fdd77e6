/**
 * The settings of an agent, one row each: flag, environment variable, line of the settings
 * file, what it means and what it may be. Where they come from and win is settings.ts.
 */
import { z } from 'zod'
import { providerNames } from '../executors/native/sessions/settings.ts'
import { isOrigin } from '../gateway/edge.ts'
import { DEFAULT_MESH_PORT, parsePeerAddress } from '../mesh/peer-address.ts'
import { TOKEN_SHAPE } from '../store/access-token.ts'

export interface SettingRow<T = unknown> {
  /** Name of the flag, without dashes; also the key in the settings file. */
  readonly flag: string
  readonly environment: string
  /** What stands for the value in a help text, e.g. `<folder>`. */
  readonly placeholder: string
  readonly description: string
  /** The default in words. */
  readonly defaults: string
  /** An example for the commented settings file. */
  readonly example: string
  /** May be given several times; in the environment paths are separated as in PATH, others by commas. */
  readonly repeatable?: boolean
  /** Relative paths in the value are made absolute against where it was written. */
  readonly isPath?: boolean
  /** Never repeated in a message. */
  readonly isSecret?: boolean
  /** Parses the text; its message says what is allowed. */
  readonly schema: z.ZodType<T, string>
}

const wholeNumber = (min: number, max: number, message: string) =>
  z
    .string()
    .regex(/^\d+$/, message)
    .transform(Number)
    .refine((value) => value >= min && value <= max, message)

const onOrOff = z.enum(['on', 'off'], 'should be on or off').transform((text) => text === 'on')

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const

const UNIT_BYTES: { readonly [unit: string]: number } = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }

/** `8GB`, `6.5 GiB`, `6000MB`; a GB of device memory is 2^30 bytes, as on the card's box. */
const memorySize = z
  .string()
  .regex(
    /^\s*\d+(\.\d+)?\s*[KMG](i?B)?\s*$/i,
    'should be a size with its unit, such as 8GB or 6000MB',
  )
  .transform((text) => {
    const unit = /[KMG]/i.exec(text)![0].toUpperCase()
    return Math.round(Number.parseFloat(text) * UNIT_BYTES[unit]!)
  })

/** As ComfyUI's flag of this name, a number alone counts megabytes. */
const uploadSize = z
  .string()
  .transform((text) => (/^\d+(\.\d+)?$/.test(text) ? `${text}MB` : text))
  .pipe(memorySize)
  .refine(
    (bytes) => bytes >= 2 ** 20 && bytes <= 2 ** 30,
    'should be from 1MB to 1GB, for what is uploaded is held in memory',
  )

const path = z.string().min(1, 'should be a path')

/** The value of `token` that lets everybody in; long enough that nobody writes it by accident. */
const OPEN_TO_EVERYBODY = 'open-to-everybody'

const token = z
  .string()
  .regex(
    TOKEN_SHAPE,
    `should have 16 to 256 of the characters A-Z a-z 0-9 . _ ~ - (or be \`${OPEN_TO_EVERYBODY}\` where something in front of the agent asks who comes)`,
  )
  .transform((text) => (text === OPEN_TO_EVERYBODY ? (false as const) : text))

export const settingRows = {
  dataDir: {
    flag: 'data-dir',
    environment: 'COMFYMESH_DATA_DIR',
    placeholder: '<folder>',
    description: "Where the agent's database, caches, pictures and settings file lie",
    defaults: "the platform's folder for application data",
    example: '',
    isPath: true,
    schema: path,
  },
  port: {
    flag: 'port',
    environment: 'COMFYMESH_PORT',
    placeholder: '<number>',
    description: 'Port of the HTTP server; 0 takes any free one',
    defaults: '8288',
    example: '8288',
    schema: wholeNumber(0, 65535, 'should be a port from 0 to 65535'),
  },
  host: {
    flag: 'host',
    environment: 'COMFYMESH_HOST',
    placeholder: '<address>',
    description: 'Address to listen on; 0.0.0.0 opens the agent to the whole network',
    defaults: '127.0.0.1',
    example: '127.0.0.1',
    schema: z.string().regex(/^[\w.:-]+$/, 'should be an address such as 127.0.0.1 or 0.0.0.0'),
  },
  token: {
    flag: 'token',
    environment: 'COMFYMESH_TOKEN',
    placeholder: '<text>',
    description:
      'What clients have to show to use the agent; `comfymesh token` prints the one it made itself',
    defaults: 'made by the agent once it listens on more than 127.0.0.1; none before that',
    example: 'a-long-secret-of-yours',
    isSecret: true,
    schema: token,
  },
  allowHost: {
    flag: 'allow-host',
    environment: 'COMFYMESH_ALLOW_HOST',
    placeholder: '<name>',
    description:
      'Another name by which clients call this machine, such as that of a proxy in front',
    defaults: 'its addresses, localhost and its host name',
    example: '[comfy.example.org]',
    repeatable: true,
    schema: z
      .string()
      .regex(/^[a-z0-9_-][a-z0-9._-]*$/i, 'should be a name such as comfy.example.org')
      .transform((text) => text.toLowerCase()),
  },
  allowOrigin: {
    flag: 'allow-origin',
    environment: 'COMFYMESH_ALLOW_ORIGIN',
    placeholder: '<origin>',
    description: 'A page elsewhere that may use the agent, as its browser calls it',
    defaults: "only the agent's own pages",
    example: '[http://localhost:5173]',
    repeatable: true,
    schema: z
      .string()
      .transform((text) => text.toLowerCase().replace(/\/$/, ''))
      .refine(
        isOrigin,
        'should be an origin such as http://localhost:5173 (not `*` or `null`, which every page can be)',
      ),
  },
  models: {
    flag: 'models',
    environment: 'COMFYMESH_MODELS',
    placeholder: '<folder>',
    description: 'A ComfyUI `models` folder, or a whole ComfyUI folder (then its input and output)',
    defaults: '`models` in the data folder, which is always searched too',
    example: '[~/ComfyUI]',
    repeatable: true,
    isPath: true,
    schema: path,
  },
  extraModelPaths: {
    flag: 'extra-model-paths',
    environment: 'COMFYMESH_EXTRA_MODEL_PATHS',
    placeholder: '<yaml>',
    description: "A file in the format of ComfyUI's extra_model_paths.yaml",
    defaults:
      'extra_model_paths.yaml in the data folder or in the ComfyUI folder, where there is one',
    example: '[~/ComfyUI/extra_model_paths.yaml]',
    repeatable: true,
    isPath: true,
    schema: path,
  },
  inputDir: {
    flag: 'input-dir',
    environment: 'COMFYMESH_INPUT_DIR',
    placeholder: '<folder>',
    description: 'Where LoadImage finds pictures',
    defaults: '`input` in the ComfyUI or data folder',
    example: '~/Pictures/input',
    isPath: true,
    schema: path,
  },
  outputDir: {
    flag: 'output-dir',
    environment: 'COMFYMESH_OUTPUT_DIR',
    placeholder: '<folder>',
    description: 'Where SaveImage puts pictures',
    defaults: '`output` in the ComfyUI or data folder',
    example: '~/Pictures/comfymesh',
    isPath: true,
    schema: path,
  },
  maxUploadSize: {
    flag: 'max-upload-size',
    environment: 'COMFYMESH_MAX_UPLOAD_SIZE',
    placeholder: '<size>',
    description: 'The largest file or prompt that clients may send, such as 200MB',
    defaults: '100MB',
    example: '100MB',
    schema: uploadSize,
  },
  frontend: {
    flag: 'frontend',
    environment: 'COMFYMESH_FRONTEND',
    placeholder: '<folder>',
    description:
      'Files of an official ComfyUI frontend (the package comfyui-frontend-package), served at /comfy/',
    defaults: 'none',
    example: '~/comfyui_frontend_package/static',
    isPath: true,
    schema: path,
  },
  userDir: {
    flag: 'user-dir',
    environment: 'COMFYMESH_USER_DIR',
    placeholder: '<folder>',
    description: "The user's workflows and settings; ComfyUI's `user` folder fits",
    defaults: '`user` in the ComfyUI or data folder',
    example: '~/ComfyUI/user',
    isPath: true,
    schema: path,
  },
  name: {
    flag: 'name',
    environment: 'COMFYMESH_NAME',
    placeholder: '<name>',
    description: 'How other machines call this one',
    defaults: "the machine's host name",
    example: 'studio-pc',
    schema: z
      .string()
      .trim()
      .min(1, 'should not be empty')
      .max(64, 'should have at most 64 characters'),
  },
  mesh: {
    flag: 'mesh',
    environment: 'COMFYMESH_MESH',
    placeholder: '<on|off>',
    description: 'Whether this machine takes part in a mesh',
    defaults: 'on',
    example: 'off',
    schema: onOrOff,
  },
  meshPort: {
    flag: 'mesh-port',
    environment: 'COMFYMESH_MESH_PORT',
    placeholder: '<number>',
    description: 'Port for the agents of other machines; the next two are used too',
    defaults: `${DEFAULT_MESH_PORT}, or any free one where that is taken`,
    example: `${DEFAULT_MESH_PORT}`,
    schema: wholeNumber(0, 65535, 'should be a port from 0 to 65535'),
  },
  peer: {
    flag: 'peer',
    environment: 'COMFYMESH_PEER',
    placeholder: '<address>',
    description: 'A machine of the mesh that is not found by itself: 192.168.1.7, studio-pc:8289',
    defaults: 'those that announce themselves on the network',
    example: '[192.168.1.7, studio-pc:8289]',
    repeatable: true,
    schema: z.string().transform((text, context) => {
      const address = parsePeerAddress(text)
      if (address !== undefined) return address
      const message =
        'should be an address such as 192.168.1.7, studio-pc:8289 or /ip4/192.168.1.7/tcp/8289'
      context.addIssue({ code: 'custom', message })
      return z.NEVER
    }),
  },
  discovery: {
    flag: 'discovery',
    environment: 'COMFYMESH_DISCOVERY',
    placeholder: '<on|off>',
    description: 'Whether to announce this machine on the network and to look for others there',
    defaults: 'on',
    example: 'off',
    schema: onOrOff,
  },
  threads: {
    flag: 'threads',
    environment: 'COMFYMESH_THREADS',
    placeholder: '<number>',
    description: 'CPU threads that a model may use',
    defaults: 'as many as the machine has cores',
    example: '4',
    schema: wholeNumber(1, 1024, 'should be a number from 1 to 1024'),
  },
  vram: {
    flag: 'vram',
    environment: 'COMFYMESH_VRAM',
    placeholder: '<size>',
    description: 'Device memory that comfymesh may use, such as 8GB or 6000MB',
    defaults: 'all of it',
    example: '8GB',
    schema: memorySize,
  },
  provider: {
    flag: 'provider',
    environment: 'COMFYMESH_PROVIDER',
    placeholder: '<name>',
    description: `What computes, instead of the best that works: ${providerNames.join(', ')}`,
    defaults: 'the best that works',
    example: 'cpu',
    schema: z
      .string()
      .transform((text) => text.toLowerCase())
      .pipe(z.enum(providerNames, `should be one of ${providerNames.join(', ')}`)),
  },
  blobBudget: {
    flag: 'blob-budget',
    environment: 'COMFYMESH_BLOB_BUDGET',
    placeholder: '<size>',
    description: 'Disk that values on their way between machines may take, such as 20GB',
    defaults: '4GB, or a quarter of the free disk',
    example: '20GB',
    schema: memorySize,
  },
  queueLimit: {
    flag: 'queue-limit',
    environment: 'COMFYMESH_QUEUE_LIMIT',
    placeholder: '<number>',
    description: 'How many jobs may wait; more are refused until some have ended',
    defaults: '10000',
    example: '10000',
    schema: wholeNumber(1, 1_000_000, 'should be a number from 1 to 1000000'),
  },
  logLevel: {
    flag: 'log-level',
    environment: 'COMFYMESH_LOG_LEVEL',
    placeholder: '<level>',
    description: `How much is logged: ${logLevels.join(', ')}`,
    defaults: 'info',
    example: 'info',
    schema: z.enum(logLevels, `should be one of ${logLevels.join(', ')}`) as z.ZodType<
      (typeof logLevels)[number],
      string
    >,
  },
} as const satisfies { readonly [key: string]: SettingRow }

export type SettingKey = keyof typeof settingRows

/** A parsed value of each setting that somebody gave; repeatable ones as lists. */
export type GivenSettings = {
  -readonly [K in SettingKey]?: (typeof settingRows)[K] extends { readonly repeatable: true }
    ? readonly z.output<(typeof settingRows)[K]['schema']>[]
    : z.output<(typeof settingRows)[K]['schema']>
}
