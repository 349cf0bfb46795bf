import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { etcdClient, valueText } from '@ciliate/kvstore';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ciliateHere, ROOT } from './ciliate.ts';

let folder: string;
const inFolder = (name: string) => join(folder, name);
/** A server in another process, with a directory and a port that others want too. */
let server: ReturnType<typeof spawn>;
let address: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ciliate-serve-'));
  const args = ['kvstore', 'serve', '--listen', '127.0.0.1:0', '--data-dir', inFolder('data')];
  server = spawn(process.execPath, [join(ROOT, 'packages/cli/src/main.ts'), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(server.stdout!, 'data')) as [Buffer];
  address = /at ([\d.:]+),/.exec(line.toString())![1]!;
  const client = etcdClient({ endpoints: [address] });
  await client.put('a', '1');
  await client.put('a', '2');
  await client.close();
  cpSync(inFolder('data'), inFolder('damaged'), { recursive: true });
  rmSync(inFolder('damaged/lock'));
  const log = inFolder('damaged/log-0000000000000001');
  const bytes = readFileSync(log);
  bytes[34]! ^= 1; // the key in the first of two frames
  writeFileSync(log, bytes);
  writeFileSync(inFolder('file'), '');
}, 30_000);
afterAll(async () => {
  const gone = once(server, 'exit');
  server.kill('SIGTERM');
  await gone;
  rmSync(folder, { recursive: true });
});

const serve = (...args: string[]) => ciliateHere('kvstore', 'serve', ...args);
const rows: [name: string, args: () => string[], message: RegExp][] = [
  ['a flag that is none', () => ['--data-dri', 'x'], /unknown option '--data-dri'\n.*--data-dir/s],
  ['an address without a port', () => ['--listen', 'localhost'], /cannot listen at localhost: want host:port/],
  ['a port that is none', () => ['--listen', '127.0.0.1:70000'], /cannot listen at 127.0.0.1:70000: want host:port/],
  ['a port that is taken', () => ['--listen', address], /cannot listen at 127.0.0.1:\d+: listen EADDRINUSE/],
  ['an address of another machine', () => ['--listen', '192.0.2.1:0'], /cannot listen at 192.0.2.1:0: .*EADDRNOTAVAIL/],
  ['a directory that is a file', () => ['--data-dir', inFolder('file')], /the data directory cannot be made/],
  [
    'a directory that another process has',
    () => ['--data-dir', inFolder('data')],
    /another process has the data directory; stop it, or use another directory \(directory=.*data pid=\d+\)/,
  ],
  [
    'a directory that is damaged',
    () => ['--data-dir', inFolder('damaged')],
    /log-0000000000000001 is damaged: frame 1 does not match its checksum, but frame 2 at byte \d+ does/,
  ],
  ['a certificate without its key', () => ['--cert-file', inFolder('file')], /--cert-file and --key-file go together/],
  [
    'a certificate that is not there',
    () => ['--cert-file', inFolder('none'), '--key-file', inFolder('file')],
    /no such file or directory, open '.*none'/,
  ],
  [
    'a certificate that is none',
    () => ['--listen', '127.0.0.1:0', '--cert-file', inFolder('file'), '--key-file', inFolder('file')],
    /cannot listen at 127.0.0.1:0: /,
  ],
  ['client certificates without TLS', () => ['--client-cert-auth'], /client certificates need TLS/],
];
test.each(rows)('%s is refused with exit code 2, and the other server loses nothing', async (_name, args, message) => {
  const { code, stderr } = await serve(...args());
  expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
  const client = etcdClient({ endpoints: [address] });
  expect(valueText((await client.get('a'))!)).toBe('2');
  await client.close();
});
