#!/usr/bin/env node
/** The program: arguments in, exit code out. What the commands do stands in cli/. */
import { runCommandLine } from './cli/commands.ts'

// Who reads no further, as `head` does or a terminal that was closed, ends nothing that is under way.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error
  })
}

process.exitCode = await runCommandLine(process.argv.slice(2))
