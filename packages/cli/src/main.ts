#!/usr/bin/env node
import { enableCompileCache } from 'node:module';

// Types are stripped and code is compiled once, not at every start: half the time of a short command. Threads have it by the variable.
const { directory } = enableCompileCache();
if (directory !== undefined) process.env.NODE_COMPILE_CACHE ??= directory;
const { run } = await import('./program.ts');

// A reader that has seen enough (`ciliate … | head`) ends the program, as it ends any other.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});
process.exitCode = await run(process.argv.slice(2));
