import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { etcdClient } from '../src/index.ts';
import { freePorts } from './backends.ts';

const PUTS = 20;

/** What the kernel saw, in order: a write to the log, the end of a sync of it, a write to a client's socket. */
function stepsOf(trace: string): ('log' | 'synced' | 'answer')[] {
  const steps: ('log' | 'synced' | 'answer')[] = [];
  for (const line of trace.split('\n')) {
    if (/pwrite64\(\d+<[^>]*\/log-/.test(line)) steps.push('log');
    // A call that others came between ends in a line of its own.
    else if (/fdatasync(\(\d+<[^>]*\/log-[^>]*>| resumed>).*= 0$/.test(line)) steps.push('synced');
    else if (/ (write|writev|sendmsg|sendto)\(\d+<TCP:/.test(line)) steps.push('answer');
  }
  return steps;
}

test('the steps are read from a trace', () => {
  const trace = `11 pwrite64(17</d/log-0000000000000001>, "..", 40, 16) = 40
12 fdatasync(17</d/log-0000000000000001> <unfinished ...>
11 epoll_pwait(13<anon_inode:[eventpoll]>, [], 1024, 0, NULL, 8) = 0
12 <... fdatasync resumed>) = 0
11 writev(20<TCP:[127.0.0.1:1->127.0.0.1:2]>, [{iov_base=".."}], 2) = 40
11 fdatasync(17</d/log-0000000000000001>) = 0`;
  expect(stepsOf(trace)).toEqual(['log', 'synced', 'answer', 'synced']);
});

const canTrace = ((): boolean => {
  try {
    execFileSync('strace', ['-o', '/dev/null', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false; // it is not there, or this container does not let it
  }
})();

test.skipIf(!canTrace)(
  'fdatasync has returned before the answer is written to the socket (seen by strace)',
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'ciliate-strace-'));
    const program = fileURLToPath(new URL('support/serve.ts', import.meta.url));
    const listen = `127.0.0.1:${(await freePorts(1))[0]}`;
    const calls = 'trace=pwrite64,fdatasync,write,writev,sendmsg,sendto';
    const trace = join(directory, 'trace');
    const strace = ['-f', '-yy', '-s', '0', '-e', calls, '-o', trace];
    const server = spawn('strace', [...strace, process.execPath, program, listen, join(directory, 'data')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const gone = once(server, 'exit');
    await once(server.stdout, 'data');
    let before: number;
    try {
      const client = etcdClient({ endpoints: [listen], timeoutMs: 20_000 });
      await client.put('ready', '');
      before = stepsOf(readFileSync(trace, 'latin1')).length;
      for (let i = 0; i < PUTS; i++) await client.put('a', `${i}`);
      await client.close();
    } finally {
      // The traced process comes first in the trace; strace ends with it.
      process.kill(Number.parseInt(readFileSync(trace, 'latin1'), 10), 'SIGKILL');
      await gone;
    }
    const steps = stepsOf(readFileSync(trace, 'latin1')).slice(before);
    rmSync(directory, { recursive: true });
    const writes = steps.flatMap((step, i) => (step === 'log' ? [i] : []));
    expect(writes.length).toBeGreaterThanOrEqual(PUTS);
    expect(steps.filter((step) => step === 'answer').length).toBeGreaterThanOrEqual(PUTS);
    for (const at of writes) expect(steps.slice(at, at + 3)).toEqual(['log', 'synced', 'answer']);
  },
  60_000,
);
