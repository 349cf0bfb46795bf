import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT } from './live.ts';

/** The commands as a user runs them: up in one process, the others in processes of their own. */
const folder = mkdtempSync(join(tmpdir(), 'ciliate-'));
const socket = join(folder, 'api.sock');
const MAIN = `${ROOT}packages/cli/src/main.ts`;
let up: ChildProcess;

beforeAll(async () => {
  up = spawn(process.execPath, [MAIN, 'up', '-f', 'examples/deathstar', '--socket', socket], { cwd: ROOT });
  let said = '';
  await new Promise<void>((resolve, reject) => {
    up.stdout!.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.endsWith('ready\n')) resolve();
    });
    up.on('exit', (code) => reject(new Error(`up ended with ${code}`)));
  });
});
afterAll(() => {
  up.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

function ciliate(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], { cwd: ROOT }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

test('exec runs a command as a pod, with its exit code', async () => {
  const args = ['exec', '--socket', socket, 'xwing', '--', 'sh', '-c', 'echo $CILIATE_POD $CILIATE_POD_IP; exit 7'];
  expect(await ciliate(...args)).toMatchObject({ code: 7, stdout: 'default/xwing 10.0.0.31\n' });
});

test('a pod that is not there, and a policy that is wrong, are bad input', async () => {
  const none = await ciliate('exec', '--socket', socket, 'ywing', '--', 'true');
  expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining('no pod default/ywing; there are ') });
  const nowhere = await ciliate('observe', '--socket', join(folder, 'none.sock'));
  expect(nowhere).toMatchObject({ code: 2, stderr: expect.stringContaining('no cluster runs there') });
});

test('apply and delete say what they did', async () => {
  const policy = ['--socket', socket, '-f', 'examples/deathstar/policies/l4.yaml'];
  const name = 'ciliumnetworkpolicy/default/rule1';
  expect((await ciliate('apply', ...policy)).stdout).toBe(`${name} created\n`);
  expect((await ciliate('apply', ...policy)).stdout).toBe(`${name} unchanged\n`);
  expect((await ciliate('delete', ...policy)).stdout).toBe(`${name} deleted\n`);
});

test('Ctrl-C ends it, and nothing is left', async () => {
  up.kill('SIGINT');
  const [code] = await once(up, 'exit');
  expect([code, existsSync(socket)]).toEqual([0, false]);
});
