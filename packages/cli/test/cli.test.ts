import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ciliate, ROOT } from './ciliate.ts';

const DEATHSTAR = 'examples/deathstar';
const CAPTURE = `${DEATHSTAR}/deathstar.pcapng`;
const MAIN = join(ROOT, 'packages/cli/src/main.ts');
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
    'the port may stand behind the name, and the protocol behind the port',
    ['--from', 'xwing', '--to', '8.8.8.8:53/UDP'],
    { outcome: 'forwarded', destination: '8.8.8.8:53' },
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
    'a client outside of the cluster that no rule lets in',
    ['--from', '9.9.9.9', '--to', 'deathstar-1', '--port', '80'],
    { source: '9.9.9.9', outcome: 'dropped', dropCode: 133 },
  ],
  [
    'a client outside, and a pod that no policy selects',
    ['--from', '9.9.9.9', '--to', 'xwing:80', '--http', 'GET /'],
    { source: '9.9.9.9', backend: 'default/xwing', outcome: 'answered', sees: 'HTTP 200' },
  ],
  [
    'in audit mode it is let in all the same',
    ['--policy-audit-mode', '--from', '9.9.9.9', '--to', 'deathstar-1', '--port', '80'],
    { outcome: 'answered' },
  ],
  [
    'with --enable-policy always the world needs a rule',
    ['--enable-policy', 'always', '--from', 'xwing', '--to', '8.8.8.8', '--port', '53/UDP'],
    { outcome: 'dropped', dropCode: 133 },
  ],
  [
    'with --enable-policy never nobody is dropped',
    ['--enable-policy', 'never', '--from', 'xwing', ...asked],
    { outcome: 'answered', why: 'policy enforcement is off (never) (allow-any-ingress)' },
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

const packets = (...args: string[]) =>
  ciliate('replay', '-f', DEATHSTAR, '-f', L7, '--mode', 'packets', CAPTURE, ...args);

test('replay --mode packets says what became of the packets, and how fast', async () => {
  const { code, stdout, stderr } = await packets('--workers', '2');
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/^160 packets, 19\.1 kB: 160 judged\n/);
  expect(stdout).toMatch(/dropped +10 +6\.3 %/);
  expect(stdout).toMatch(/133 +Policy denied +10 /);
  expect(stdout).toMatch(/packets\/s with 2 workers in /);
  expect(stdout).toMatch(/p99\.9 \d+ ns \(means over 64 packets each, of which asking the clock is /);
});

test('replay --mode packets --flows - prints JSON lines, and the result on stderr', async () => {
  const { code, stdout, stderr } = await packets('--flows');
  expect(code).toBe(0);
  const lines = stdout.trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line).node_name)).toEqual(lines.map(() => 'node-1'));
  expect(stderr).toContain(`events: ${lines.length} read, 0 lost`);
});

test('replay merge joins the shares, one named and one of an indexed Job, into what one run gives', async () => {
  const named = await packets('--json', '--shard', '0/2');
  process.env.JOB_COMPLETION_INDEX = '1';
  process.env.JOB_COMPLETIONS = '2';
  const ofJob = await packets('--json');
  delete process.env.JOB_COMPLETION_INDEX;
  delete process.env.JOB_COMPLETIONS;
  const files = [file('0.json', named.stdout), file('1.json', ofJob.stdout)];
  const merged = await ciliate('replay', 'merge', ...files, '--json');
  const { timings, ...whole } = JSON.parse((await packets('--json')).stdout);
  expect(timings.workers).toBeGreaterThan(0);
  expect(JSON.parse(merged.stdout)).toEqual(whole);
  expect((await ciliate('replay', 'merge', ...files)).stdout).toMatch(/^160 packets, 19\.1 kB: 160 judged\n/);
});

test('replay ended by SIGINT prints the partial result and says so', async () => {
  const args = ['replay', '-f', DEATHSTAR, '--mode', 'packets', CAPTURE, '--loop', '1000000'];
  const child = spawn(process.execPath, [MAIN, ...args, '--write-pcap', join(folder, 'begun.pcapng')], { cwd: ROOT });
  let stdout = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  const watch = setInterval(() => {
    if ((statSync(join(folder, 'begun.pcapng'), { throwIfNoEntry: false })?.size ?? 0) === 0) return;
    clearInterval(watch);
    child.kill('SIGINT');
  }, 20);
  const code = await new Promise((resolve) => child.on('close', resolve));
  expect(stdout).toContain('ENDED BEFORE THE TRACE WAS');
  expect(code).toBe(130);
});

test('trace generate writes what it says, and replay reads it', async () => {
  const path = join(folder, 'generated.pcapng');
  const args = ['trace', 'generate', '-f', DEATHSTAR, '-o', path, '--packets', '500', '--mix', 'tcp=3,udp=1'];
  const { code, stdout } = await ciliate(...args, '--sizes', '64-128', '--scan', '5');
  expect(code).toBe(0);
  expect(stdout).toMatch(/generated\.pcapng: 500 packets, \d+ bytes, 0\.00\d s, seed 1\n/);
  expect(stdout).toMatch(/\d+ connections: .*; tcp \d+, udp \d+; answered by server \d+\nattacks: scan \d+ packets\n/);
  const replayed = await ciliate('replay', '-f', DEATHSTAR, '--mode', 'packets', path, '--json');
  expect(JSON.parse(replayed.stdout)).toMatchObject({ judged: { packets: 500 }, drops: [] });
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
  ['no port', () => ['verdict', '-f', DEATHSTAR, '--from', 'xwing', '--to', 'deathstar'], /--to deathstar:80/],
  [
    'a port in two places',
    () => ['verdict', '-f', DEATHSTAR, '--from', 'xwing', '--to', 'deathstar:80', '--port', '80'],
    /so does --port/,
  ],
  [
    'a bad port behind a name',
    () => ['verdict', '-f', DEATHSTAR, '--from', 'xwing', '--to', 'deathstar:0'],
    /--to deathstar:0: want a port/,
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
  [
    'an option of the other mode',
    () => ['replay', '-f', DEATHSTAR, CAPTURE, '--loop', '2'],
    /--loop: only with --mode packets/,
  ],
  [
    'a share that is none',
    () => ['replay', '-f', DEATHSTAR, '--mode', 'packets', CAPTURE, '--shard', '2/2'],
    /share 2\/2: .* 0\/2 to 1\/2/,
  ],
  [
    'a number of shares without the one',
    () => ['replay', '-f', DEATHSTAR, '--mode', 'packets', CAPTURE, '--shards', '2'],
    /--shards .*JOB_COMPLETION_INDEX.*is not set/,
  ],
  [
    'two outputs in one',
    () => ['replay', '-f', DEATHSTAR, '--mode', 'packets', CAPTURE, '--flows', '-', '--json'],
    /--flows - and --json both/,
  ],
  ['a replay without objects', () => ['replay', CAPTURE], /required option '-f, --file <path>'/],
  [
    'a file to merge that is no result',
    () => ['replay', 'merge', file('none.json', '{}')],
    /none\.json: not a result of replay/,
  ],
  [
    'an unknown protocol to generate',
    () => ['trace', 'generate', '-f', DEATHSTAR, '-o', '/dev/null', '--mix', 'tpc=1'],
    /"tpc" is none of tcp, udp, icmp, sctp, did you mean "tcp"\?/,
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
  for (const command of ['demo', 'replay', 'trace', 'verdict']) expect(stdout).toContain(command);
});

test('verdict of a drop shows what the nearest rule lacks, and a policy that, applied, lets the packet through', async () => {
  const asks = ['--from', 'xwing', '--to', 'deathstar', '--port', '80/TCP'];
  const { stdout } = await ciliate('verdict', '-f', DEATHSTAR, '-f', L7, ...asks);
  expect(stdout).toContain('but the peer has org=alliance');
  const suggested = file('suggested.yaml', stdout.slice(stdout.indexOf('apiVersion:')));
  const after = await ciliate(...verdict('-f', suggested, ...asks));
  expect(JSON.parse(after.stdout)).toMatchObject({ outcome: 'answered' });
});

test('verdict --json carries the explanation of each step in which policy was asked', async () => {
  const { stdout } = await ciliate(...verdict('--from', 'xwing', '--to', 'deathstar', '--port', '80/TCP'));
  const explanations = JSON.parse(stdout).steps.flatMap(
    ({ explanation }: { explanation?: object }) => explanation ?? [],
  );
  expect(explanations).toMatchObject([
    { verdict: 'allow', because: [{ origins: [{ name: 'allow-any-egress' }] }] },
    {
      verdict: 'drop',
      selectedBy: [{ name: 'rule1', position: { file: L7, line: 8 } }],
      nearMisses: [{ origin: { list: 'ingress', ruleIndex: 0 }, misses: [{ by: 'peer' }] }],
      remedy: { kind: 'allow', suggestion: { policy: { kind: 'CiliumNetworkPolicy' } } },
    },
  ]);
});

const denyAll = (name: string, spec: string): string => `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: ${name}, namespace: default }
spec: ${spec}
`;

const DNS = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: dns, namespace: default }
spec:
  endpointSelector: { matchLabels: { class: tiefighter } }
  egress:
    - toEntities: [all]
      toPorts: [{ ports: [{ port: '53', protocol: ANY }], rules: { dns: [{ matchPattern: '*' }] } }]
    - toCIDR: [1.2.3.0/24]
  ingress:
    - fromEntities: [host]
`;
const byPolicy: [name: string, ends: [from: string, to: string, port: string], reason: string, want: object][] = [
  ['a type of ICMP', ['tiefighter', '1.2.3.4', '8/ICMP'], 'ICMP is not played yet', { outcome: 'allow' }],
  ['an address no rule names', ['tiefighter', '4.3.2.1', '8/ICMP'], 'ICMP is not', { outcome: 'drop' }],
  ['an entity', ['host', 'tiefighter', '80/TCP'], 'host has no address', { outcome: 'allow', source: 'host' }],
  ['two addresses', ['9.9.9.9', '8.8.8.8', '80/TCP'], 'neither end is a pod', { outcome: 'allow', source: '9.9.9.9' }],
  [
    'the node itself',
    ['192.168.1.1', 'tiefighter', '80/TCP'],
    'packets that the node itself sends',
    { outcome: 'allow', source: '192.168.1.1' },
  ],
  ['SCTP to a pod', ['xwing', 'tiefighter', '80/SCTP'], 'SCTP is not played yet', { outcome: 'drop' }],
];
test('verdict sends a question to the DNS proxy, and says that the name decides', async () => {
  const path = file('dns.yaml', DNS);
  const asks = ['verdict', '-f', DEATHSTAR, '-f', path, '--from', 'tiefighter', '--to', 'kube-system/kube-dns'];
  expect(JSON.parse((await ciliate(...asks, '--port', '53/UDP', '--json')).stdout)).toMatchObject({
    ...{ verdict: 'REDIRECTED', outcome: 'no-answer', sees: 'what the DNS proxy says to the name' },
  });
});

test.each(byPolicy)('verdict by policy alone, and it says why: %s', async (_name, [from, to, port], reason, want) => {
  const path = file('dns.yaml', DNS);
  const asks = ['verdict', '-f', DEATHSTAR, '-f', path, '--from', from, '--to', to, '--port', port];
  expect(JSON.parse((await ciliate(...asks, '--json')).stdout)).toMatchObject({ playedAs: 'policy alone', ...want });
  const { code, stdout } = await ciliate(...asks);
  expect([code, stdout]).toEqual([0, expect.stringContaining(reason)]);
});

test('where the programs differ from the policy engine, verdict says so', async () => {
  const spec = `{ endpointSelector: { matchLabels: { class: deathstar } }, ingress: [{ toPorts: [{ ports: [{ port: '0', endPort: 100, protocol: TCP }] }] }] }`;
  const path = file('range.yaml', denyAll('range', spec));
  const asks = ['--from', 'xwing', '--to', 'deathstar-1', '--port', '200/TCP'];
  const { stdout } = await ciliate('verdict', '-f', DEATHSTAR, '-f', path, ...asks);
  expect(stdout).toContain("here Cilium's programs differ from its policy engine, which says drop");
  expect(stdout).not.toContain('the smallest policy');
});

test('a packet that its sender may not send is also asked about at its destination', async () => {
  const path = file(
    'egress.yaml',
    denyAll('quiet', '{ endpointSelector: { matchLabels: { class: xwing } }, egress: [{}] }'),
  );
  const asks = ['--from', 'xwing', '--to', 'deathstar', '--port', '80/TCP'];
  const { stdout } = await ciliate('verdict', '-f', DEATHSTAR, '-f', L7, '-f', path, ...asks);
  expect(stdout).toContain('ingress policy would not have let it in either');
  expect(stdout.match(/the smallest policy that lets this through/g)).toHaveLength(2);
});

test('a denied packet names the rules that deny it, and suggests nothing', async () => {
  const path = file('deny.yaml', denyAll('shut', '{ endpointSelector: {}, ingressDeny: [{ fromEntities: [all] }] }'));
  const { stdout } = await ciliate(
    'verdict',
    '-f',
    DEATHSTAR,
    '-f',
    path,
    '--from',
    'xwing',
    '--to',
    'deathstar',
    '--port',
    '80',
  );
  expect(stdout).toContain('no allow rule can let this through the ingress policy of default/deathstar-');
  expect(stdout).toContain('CiliumNetworkPolicy default/shut ingressDeny[0]');
  expect(stdout).not.toContain('apiVersion');
});

const changed: [name: string, args: string[], code: number, want: string | RegExp][] = [
  ['the same twice', ['-f', DEATHSTAR, '-f', DEATHSTAR, '--exit-code'], 0, 'No flow changes its verdict.\n'],
  ['differences', ['--old', DEATHSTAR, '--new', DEATHSTAR, L7], 0, /everything but 80\/TCP\n {2}allow -> deny\n/],
  [
    'differences with --exit-code',
    ['--old', DEATHSTAR, '--new', DEATHSTAR, L7, '--exit-code'],
    1,
    /allow -> L7 http: POST/,
  ],
  [
    'policies that nobody enforces',
    ['--enable-policy', 'never', '--old', DEATHSTAR, '--new', DEATHSTAR, L7, '--exit-code'],
    0,
    'No flow changes its verdict.\n',
  ],
  [
    'policies that open one end, while the senders need a rule too',
    ['--enable-policy', 'always', '--old', DEATHSTAR, '--new', DEATHSTAR, L7],
    0,
    'No flow changes its verdict.\n',
  ],
];

test.each(changed)('diff of %s', async (_name, args, code, want) => {
  const { code: exit, stdout, stderr } = await ciliate('diff', ...args);
  expect([exit, stderr]).toEqual([code, '']);
  if (typeof want === 'string') expect(stdout).toBe(want);
  else expect(stdout).toMatch(want);
});

test('diff and matrix print one JSON document', async () => {
  const diff = JSON.parse((await ciliate('diff', '--json', '--old', DEATHSTAR, '--new', DEATHSTAR, L7)).stdout);
  expect(diff.changes[0]).toMatchObject({ before: { verdict: 'allow' }, after: { verdict: 'deny' } });
  const matrix = JSON.parse(
    (await ciliate('matrix', '--json', '-f', DEATHSTAR, '-f', L7, '--from', 'tiefighter')).stdout,
  );
  expect(matrix.cells.every(({ from }: { from: { names: string[] } }) => from.names[0] === 'default/tiefighter')).toBe(
    true,
  );
});

const wrongQuestions: [name: string, args: string[], want: RegExp][] = [
  ['one cluster', ['diff', '-f', DEATHSTAR], /-f is there 1 times, want -f OLD -f NEW/],
  ['both ways', ['diff', '-f', DEATHSTAR, '--old', DEATHSTAR], /either -f OLD -f NEW or --old/],
  ['a side without pods', ['diff', '-f', DEATHSTAR, '-f', L7], /no Pod in /],
  [
    'nobody',
    ['matrix', '-f', DEATHSTAR, '--to', 'deathstr-1'],
    /--to deathstr-1: no pod, .* did you mean "default\/deathstar-1"/,
  ],
  ['the policy of a service', ['policy', '-f', DEATHSTAR, '--pod', 'svc/deathstar'], /a service has no policy/],
];

test.each(wrongQuestions)(
  'asked for %s, the exit code is 2 and the message says what is wanted',
  async (_name, args, want) => {
    const { code, stdout, stderr } = await ciliate(...args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(want);
  },
);
