#!/usr/bin/env node
/** The program: arguments in, exit code out. What the commands do stands in cli/. */
import { runCommandLine } from './cli/commands.ts'

process.exitCode = await runCommandLine(process.argv.slice(2))
