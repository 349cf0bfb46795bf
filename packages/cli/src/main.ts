#!/usr/bin/env node
import { enableCompileCache } from 'node:module';

enableCompileCache(); // types are stripped and code is compiled once, not at every start: half the time of a short command
const { run } = await import('./program.ts');

// A reader that has seen enough (`ciliate … | head`) ends the program, as it ends any other.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});
process.exitCode = await run(process.argv.slice(2));
