import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ciliate, ROOT } from './ciliate.ts';

const DEATHSTAR = 'examples/deathstar';
const CAPTURE = `${DEATHSTAR}/deathstar.pcapng`;
const L7 = `${DEATHSTAR}/policies/l7.yaml`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ciliate-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const policy = (spec: string): string => `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: bad }
${spec}`;

const verdict = (...args: string[]) => ['verdict', '-f', DEATHSTAR, '-f', L7, '--json', ...args];
const asked = ['--to', 'default/deathstar', '--port', '80/TCP', '--http', 'PUT /v1/exhaust-port'];

const verdicts: [name: string, args: string[], want: object][] = [
  ['the wrong path gets 403', ['--from', 'default/tiefighter', ...asked], { outcome: 'http-403' }],
  ['the wrong pod is dropped', ['--from', 'default/xwing', ...asked], { outcome: 'dropped', dropCode: 133 }],
  [
    'the right request is answered',
    ['--from', 'tiefighter', ...asked.slice(0, 5), 'POST /v1/request-landing'],
    { outcome: 'answered' },
  ],
  [
    'a pod can be asked instead of a service',
    ['--from', 'xwing', '--to', 'pod/default/deathstar-2', '--port', '80'],
    { outcome: 'dropped', destination: 'default/deathstar-2:80' },
  ],
  [
    'an address of a pod is that pod',
    ['--from', 'xwing', '--to', '10.0.0.11', '--port', '80'],
    { outcome: 'dropped', destination: 'default/deathstar-1:80' },
  ],
  [
    'an address outside of the cluster is the world',
    ['--from', 'xwing', '--to', '8.8.8.8', '--port', '53/UDP'],
    { outcome: 'forwarded', destination: '8.8.8.8:53' },
  ],
  [
    'with --enable-policy always the world needs a rule',
    ['--enable-policy', 'always', '--from', 'xwing', '--to', '8.8.8.8', '--port', '53/UDP'],
    { outcome: 'dropped', dropCode: 133 },
  ],
  [
    'with --enable-policy never nobody is dropped',
    ['--enable-policy', 'never', '--from', 'xwing', ...asked],
    { outcome: 'answered' },
  ],
];

test.each(verdicts)('verdict: %s, and the exit code is 0', async (_name, args, want) => {
  const { code, stdout } = await ciliate(...verdict(...args));
  expect(code).toBe(0);
  const answer = JSON.parse(stdout);
  expect(answer).toMatchObject(want);
  expect(answer.steps.length).toBeGreaterThan(3);
});

test('verdict in words names the entry that matched and the policy it came from, with its place', async () => {
  const { stdout } = await ciliate('verdict', '-f', DEATHSTAR, '-f', L7, '--from', 'tiefighter', ...asked);
  expect(stdout).toMatch(/entry: identity \d+, TCP, port 80\n/);
  expect(stdout).toContain('from: CiliumNetworkPolicy default/rule1 ingress[0] (examples/deathstar/policies/l7.yaml:');
  expect(stdout).toContain('HTTP-403: the client sees HTTP 403 Access denied');
});

test('replay --json prints one document with a row for each request, and one for each denied connection', async () => {
  const { code, stdout, stderr } = await ciliate('replay', '-f', DEATHSTAR, '-f', L7, CAPTURE, '--json');
  expect([code, stderr]).toEqual([0, '']);
  const { rows } = JSON.parse(stdout);
  expect(rows).toHaveLength(26);
  expect(rows.filter(({ outcome }: { outcome: string }) => outcome === 'http-403')).toHaveLength(5);
});

test('replay --flows prints what hubble observe would show', async () => {
  const { stdout } = await ciliate('replay', '-f', DEATHSTAR, '-f', L7, CAPTURE, '--flows');
  expect(stdout).toMatch(/default\/xwing:\d+ \(ID:\d+\) <> default\/deathstar-\d:80 \(ID:\d+\) Policy denied DROPPED/);
  expect(stdout).toContain('http-request DROPPED (HTTP/1.1 PUT ');
});

test('replay --mode packets judges every packet, with any number of workers', async () => {
  const args = ['replay', '-f', DEATHSTAR, CAPTURE, '--mode', 'packets', '--json', '--workers'];
  for (const workers of ['1', '2']) {
    const { judged, fates } = JSON.parse((await ciliate(...args, workers)).stdout);
    expect([judged.packets, fates['to-endpoint'].packets]).toEqual([160, 160]);
  }
});

test('the demo gives every expected verdict and exits 0', async () => {
  const { code, stdout } = await ciliate('demo', '--duration', '20', '--json');
  const { ok, sets, identities } = JSON.parse(stdout);
  expect([code, ok]).toEqual([0, true]);
  expect(sets.map(({ policy: name }: { policy: string }) => name)).toEqual(['none', 'l4', 'l7']);
  const deathstars = identities.filter(({ pod }: { pod: string }) => pod.startsWith('default/deathstar'));
  expect(deathstars[0].identity).toBe(deathstars[1].identity);
});

const pcapng = readFileSync(join(ROOT, CAPTURE));

const bad: [name: string, args: () => string[], message: RegExp][] = [
  [
    'a truncated capture',
    () => ['replay', '-f', DEATHSTAR, file('cut.pcapng', pcapng.subarray(0, pcapng.length - 30))],
    /cut\.pcapng: truncated .* at byte \d+/,
  ],
  [
    'a file that is no capture',
    () => ['replay', '-f', DEATHSTAR, file('text.pcap', '#!/bin/sh\n')],
    /text\.pcap: not a pcap or pcapng file/,
  ],
  [
    'a capture without packets',
    () => ['replay', '-f', DEATHSTAR, file('none.pcapng', pcapng.subarray(0, pcapng.readUInt32LE(4)))],
    /none\.pcapng: holds no packet/,
  ],
  ['a capture that is not there', () => ['replay', '-f', DEATHSTAR, 'nowhere.pcap'], /nowhere\.pcap/],
  [
    'YAML with a syntax error',
    () => ['replay', '-f', file('syntax.yaml', 'a: [1\nb: 2\n'), CAPTURE],
    /syntax\.yaml:\d+:\d+: /,
  ],
  [
    'an unknown kind',
    () => ['replay', '-f', DEATHSTAR, '-f', file('kind.yaml', policy('').replace('Policy', 'Polcy')), CAPTURE],
    /kind\.yaml:2:7: .*CiliumNetworkPolcy.*did you mean "CiliumNetworkPolicy"\?/,
  ],
  [
    'a misspelt field',
    () => [
      'replay',
      '-f',
      DEATHSTAR,
      '-f',
      file('field.yaml', policy('spec:\n  endpointSelector:\n    matchLables: { a: b }\n  ingress: [{}]\n')),
      CAPTURE,
    ],
    /field\.yaml:6:5: .*"matchLables", did you mean "matchLabels"\?/,
  ],
  [
    'toPorts indented under fromEndpoints',
    () => [
      'replay',
      '-f',
      DEATHSTAR,
      '-f',
      file(
        'indent.yaml',
        policy(`spec:
  endpointSelector: {}
  ingress:
    - fromEndpoints:
        - matchLabels: { org: empire }
          toPorts: [{ ports: [{ port: "80" }] }]
`),
      ),
      CAPTURE,
    ],
    /indent\.yaml:9:11: .*"toPorts".*spec\.ingress\[0\]/,
  ],
  [
    'a bad port in a policy',
    () => [
      'replay',
      '-f',
      DEATHSTAR,
      '-f',
      file(
        'port.yaml',
        policy('spec:\n  endpointSelector: {}\n  ingress: [{ toPorts: [{ ports: [{ port: "70000" }] }] }]\n'),
      ),
      CAPTURE,
    ],
    /port\.yaml:6:\d+: .*70000/,
  ],
  [
    'a group of a cloud provider, which is not supported',
    () => [
      'replay',
      '-f',
      DEATHSTAR,
      '-f',
      file('groups.yaml', policy('spec:\n  endpointSelector: {}\n  ingress: [{ fromGroups: [{}] }]\n')),
      CAPTURE,
    ],
    /groups\.yaml:6:\d+: .*fromGroups.*not supported/,
  ],
  [
    'an unknown pod',
    () => ['verdict', '-f', DEATHSTAR, '--from', 'tiefigther', ...asked],
    /no pod or service "default\/tiefigther", did you mean "default\/tiefighter"\?/,
  ],
  [
    'a pod that asks itself',
    () => ['verdict', '-f', DEATHSTAR, '--from', 'xwing', '--to', 'xwing', '--port', '80'],
    /--to xwing: a pod that asks its own address sends nothing/,
  ],
  ['a bad port', () => ['verdict', '-f', DEATHSTAR, '--from', 'xwing', '--to', 'deathstar', '--port', '80x'], /--port/],
  [
    'a port that the service does not have',
    () => ['verdict', '-f', DEATHSTAR, '--from', 'xwing', '--to', 'deathstar', '--port', '81/TCP'],
    /service default\/deathstar has 80\/TCP/,
  ],
  ['an unknown option', () => ['replay', '-f', DEATHSTAR, CAPTURE, '--mod', 'packets'], /--mod.*\n.*--mode/],
  [
    'no threads to measure with',
    () => ['replay', '-f', DEATHSTAR, CAPTURE, '--mode', 'packets', '--workers', '0'],
    /--workers.*want a number from 1 to 64/,
  ],
  ['an unknown log level', () => ['demo', '--log-level', 'loud'], /--log-level.*want one of trace, debug/],
  ['an unknown command', () => ['repaly'], /repaly[\s\S]*replay/],
];

test.each(bad)('%s is refused with its place and cause, exit code 2', async (_name, args, message) => {
  const { code, stdout, stderr } = await ciliate(...args());
  expect(stderr).toMatch(message);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).not.toContain('    at '); // no stack trace
});

test('--help says what the commands do', async () => {
  const { code, stdout } = await ciliate('--help');
  expect(code).toBe(0);
  for (const command of ['demo', 'replay', 'verdict']) expect(stdout).toContain(command);
});
