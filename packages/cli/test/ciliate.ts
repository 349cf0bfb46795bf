import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { vi } from 'vitest';
import { run } from '../src/program.ts';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** The command as a user runs it: its own process, exit codes and streams. */
export function ciliate(...args: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const options = { cwd: ROOT, maxBuffer: 16 * 1024 * 1024 };
    execFile(process.execPath, [`${ROOT}packages/cli/src/main.ts`, ...args], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

/** The same in this process, which is faster by the start of a process. One at a time, in the root folder. */
export async function ciliateHere(...args: string[]): Promise<Ran> {
  const ran = { code: 0, stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((stream) =>
    vi.spyOn(process[stream], 'write').mockImplementation((text) => {
      ran[stream] += text;
      return true;
    }),
  );
  try {
    ran.code = await run(args);
    return ran;
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
