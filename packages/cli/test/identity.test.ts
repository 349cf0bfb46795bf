import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ciliate, ciliateHere, ROOT } from './ciliate.ts';

const folder = mkdtempSync(join(tmpdir(), 'ciliate-identity-'));
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

/** A command that stays, once it has said so much. */
async function start(until: string, ...args: string[]): Promise<{ child: ChildProcess; said: () => string }> {
  const child = spawn(process.execPath, [`${ROOT}packages/cli/src/main.ts`, ...args], { cwd: ROOT });
  children.push(child);
  let said = '';
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        if (said.includes(until)) resolve();
      });
    child.on('exit', () => reject(new Error(said)));
  });
  return { child, said: () => said };
}

const cluster = (node: string, host: string, ip: string): string => {
  const file = join(folder, `${node}.yaml`);
  writeFileSync(
    file,
    `
apiVersion: v1
kind: Pod
metadata: { name: web-${node}, labels: { app: web } }
spec: { nodeName: ${node}, containers: [{ name: main }] }
status: { podIP: ${ip}, hostIP: ${host} }
`,
  );
  return file;
};
const [a, b] = [cluster('a', '192.168.1.1', '10.0.1.1'), cluster('b', '192.168.1.2', '10.0.2.1')];

const LABELS = ['k8s:app=web', 'k8s:io.cilium.k8s.policy.cluster=default'];
const REST = ['k8s:io.cilium.k8s.policy.serviceaccount=default', 'k8s:io.kubernetes.pod.namespace=default'];
const table = (id: number) => {
  const [first, ...others] = [...LABELS, ...REST];
  return `ID    LABELS\n${id}   ${first}\n${others.map((label) => `      ${label}\n`).join('')}`;
};

test('without a daemon: an agent of its own says what identities the objects have', async () => {
  const { stdout } = await ciliate('identity', 'list', '-f', a);
  expect(stdout).toMatch(/^ID {6}LABELS\n1 {7}reserved:host\n2 {7}reserved:world\n/);
  expect(stdout).toMatch(/\n\d{3,5} +k8s:app=web\n +k8s:io\.cilium\.k8s\.policy\.cluster=default\n/);
  const crd = await ciliate(
    'identity',
    'get',
    '-f',
    a,
    '--cluster-id',
    '2',
    '--identity-allocation-mode',
    'crd',
    ...label(),
  );
  expect(JSON.parse((await ciliate('identity', 'get', '1', '-f', a, '-o', 'json')).stdout)).toEqual([
    { id: 1, labels: ['reserved:host'] },
  ]);
  expect(Number(/\n(\d+)/.exec(crd.stdout)![1]) >>> 16).toBe(2);
});

const label = () => [...LABELS, ...REST].flatMap((one) => ['--label', one]);

test('two clusters in two processes share a store: one number, and everybody finds it', async () => {
  const serving = await start('revision', 'kvstore', 'serve', '--listen', '127.0.0.1:0');
  const address = /at (\S+),/.exec(serving.said())![1];
  const store = ['--kvstore', 'etcd', '--kvstore-opt', `etcd.address=${address}`];
  const sockets = ['a', 'b'].map((name) => join(folder, `${name}.sock`));
  const ups = [
    await start('ready\n', 'up', '-f', a, '--socket', sockets[0]!, ...store),
    await start('ready\n', 'up', '-f', b, '--socket', sockets[1]!, ...store),
  ];
  const [byStore, ...bySockets] = await Promise.all([
    ciliate('identity', 'get', ...label(), ...store),
    ...sockets.map((socket) => ciliate('identity', 'list', ...LABELS, ...REST, '--socket', socket)),
  ]);
  const id = Number(/\n(\d+)/.exec(byStore!.stdout)![1]);
  expect(id).toBeGreaterThanOrEqual(256);
  for (const { stdout } of [byStore!, ...bySockets])
    expect(stdout.replace(/ +/g, ' ')).toBe(table(id).replace(/ +/g, ' '));
  const { stdout } = await ciliate('kvstore', 'get', '--recursive', 'cilium/state/ip/', ...store.slice(2));
  expect(stdout.split('\n').map((line) => line.split(' ')[0])).toEqual([
    ...['cilium/state/ip/v1/default/10.0.1.1', 'cilium/state/ip/v1/default/10.0.2.1', ''],
  ]);

  const watch = await start('10.0.2.1', 'kvstore', 'watch', 'cilium/state/ip/', '--revision', '1', ...store.slice(2));
  expect(watch.said()).toMatch(/10\.0\.1\.1/);
  // One ends, the other is killed: the operator finds its key, and leaves the number.
  const gone = once(ups[0]!.child, 'exit');
  ups[0]!.child.kill('SIGINT');
  expect(await gone).toEqual([0, null]);
  ups[1]!.child.kill('SIGKILL');
  const operator = await start('deleted', 'operator', '--identity-gc-interval', '100ms', ...store);
  expect(operator.said()).toBe('identities: 1 alive, of these 0 unused for a round; deleted: none\n');
  operator.child.kill('SIGTERM');
});

test.each<[name: string, args: string[], says: string]>([
  ['a number that nobody has', ['get', '999999', '-f', a], 'no identity 999999'],
  ['what is no number', ['get', 'web', '-f', a], '"web" is no number'],
  ['nothing to look for', ['get', '-f', a], 'give the number of an identity, or its labels with --label'],
  ['labels of nobody', ['list', 'k8s:app=db', '-f', a], 'no identity has exactly the labels k8s:app=db'],
  ['options of a store without one', ['list', '--kvstore-opt', 'etcd.address=x'], '--kvstore-opt needs --kvstore etcd'],
  ['another store', ['list', '--kvstore', 'consul'], "argument 'consul' is invalid. Allowed choices are etcd."],
  [
    'a store that is not there',
    ['list', '--kvstore', 'etcd', '--kvstore-opt', 'etcd.address=127.0.0.1:1'],
    'no etcd endpoint can be reached',
  ],
  ['a cluster that cannot be', ['list', '--cluster-id', '256', '-f', a], 'want a number from 0 to 255.'],
  ['another mode', ['list', '--identity-allocation-mode', 'none'], 'Allowed choices are kvstore, crd.'],
  ['no cluster that runs', ['list', '--socket', join(folder, 'none.sock')], 'no cluster runs there'],
])('bad input: %s', async (_name, args, says) => {
  expect(await ciliateHere('identity', ...args)).toMatchObject({ code: 2, stderr: expect.stringContaining(says) });
});

test('bad input: an interval that is none', async () => {
  const ran = await ciliateHere('operator', '--identity-gc-interval', '15');
  expect(ran).toMatchObject({ code: 2, stderr: expect.stringContaining('want a duration, for example 15m or 1m30s.') });
});
