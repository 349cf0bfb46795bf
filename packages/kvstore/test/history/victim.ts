import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { etcdArguments, freePorts } from '../backends.ts';
import type { CrashPoint } from '../support/crash_disk.ts';

/** A durable server in a process of its own, to be killed and started again in the same directory at the same address. */
export interface Victim {
  address: string;
  /** @param point where it is to kill itself, at the n-th time that it comes there */
  start: (point?: CrashPoint, countdown?: number) => Promise<ChildProcess>;
  remove: () => void;
}

export async function ourVictim(): Promise<Victim> {
  const directory = mkdtempSync(join(tmpdir(), 'ciliate-kill-'));
  const program = fileURLToPath(new URL('../support/serve.ts', import.meta.url));
  const address = `127.0.0.1:${(await freePorts(1))[0]}`;
  return {
    address,
    start: async (point, countdown) => {
      const args = [program, address, directory, ...(point === undefined ? [] : [point, `${countdown}`])];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      // It may come to its point before it listens.
      await Promise.race([once(child.stdout!, 'data'), once(child, 'exit')]);
      return child;
    },
    remove: () => rmSync(directory, { recursive: true }),
  };
}

export async function etcdVictim(): Promise<Victim> {
  const directory = mkdtempSync(join(tmpdir(), 'ciliate-kill-'));
  const [client, peer] = await freePorts(2);
  return {
    address: `127.0.0.1:${client}`,
    start: async () => spawn('etcd', etcdArguments(directory, client!, peer!), { stdio: 'ignore' }),
    remove: () => rmSync(directory, { recursive: true }),
  };
}
