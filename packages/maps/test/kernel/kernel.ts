import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Kind } from './kinds.ts';

interface Kernel {
  program: string;
  cpus: number;
  /** Why there are no kernel maps here. */
  reason?: string;
}

/** Real kernel maps, by maps.c. */
export const kernel: Kernel = prepare();

function prepare(): Kernel {
  const program = join(mkdtempSync(join(tmpdir(), 'ciliate-maps-')), 'maps');
  const none = { program, cpus: 1 };
  const source = fileURLToPath(new URL('./maps.c', import.meta.url));
  const built = spawnSync('cc', ['-O2', '-o', program, source], { encoding: 'utf8' });
  if (built.error !== undefined) return { ...none, reason: 'no C compiler' };
  if (built.status !== 0) return { ...none, reason: `maps.c does not compile: ${built.stderr.split('\n')[0]}` };
  const [answer = ''] = ask(program, ['create 1 4 4 1 0']);
  const [errno, cpus] = answer.split(' ').map(Number);
  return errno === 0 ? { program, cpus: cpus! } : { ...none, reason: `bpf(2) is not permitted, errno ${errno}` };
}

/** Runs `lines` on a new map. @returns the answer to each of `lines`, in front of them that to making the map */
export function runKernel({ type, keySize, valueSize, flags, objects }: Kind, max: number, lines: string[]): string[] {
  const all = [...objects, `create ${type} ${keySize} ${valueSize} ${max} ${flags}`, ...lines];
  const [created, ...answers] = ask(kernel.program, all).slice(objects.length);
  return [created!.split(' ')[0]!, ...answers];
}

function ask(program: string, lines: string[]): string[] {
  const out = execFileSync(program, { input: `${lines.join('\n')}\n`, encoding: 'utf8', maxBuffer: 2 ** 28 });
  return out
    .split('\n')
    .slice(0, -1)
    .map((line) => line.trimEnd());
}
