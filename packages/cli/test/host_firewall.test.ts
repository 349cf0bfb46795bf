import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ciliateHere, ROOT } from './ciliate.ts';

const NODE = `apiVersion: v1
kind: Node
metadata: { name: worker, labels: { role: edge } }
status: { addresses: [{ type: InternalIP, address: 192.168.1.1 }] }
---
apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: { name: edge }
spec:
  nodeSelector: { matchLabels: { role: edge } }
  ingress:
    - fromEndpoints: [{ matchLabels: { org: empire, "k8s:io.kubernetes.pod.namespace": default } }]
      toPorts: [{ ports: [{ port: "22", protocol: TCP }] }]
`;

let folder: string;
let files: string[];
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ciliate-host-'));
  const path = join(folder, 'node.yaml');
  writeFileSync(path, NODE);
  files = ['-f', join(ROOT, 'examples/deathstar'), '-f', path];
});
afterAll(() => rmSync(folder, { recursive: true }));

const ON = '--enable-host-firewall';
const ASKED = ['--to', '192.168.1.1', '--port', '22'];
const IGNORED =
  /CiliumClusterwideNetworkPolicy edge selects nodes, but the host firewall is off \(--enable-host-firewall\)/;

const rows: [name: string, args: string[], want: RegExp][] = [
  [
    'a packet to the node that a rule allows arrives',
    ['verdict', ON, '--from', 'tiefighter', ...ASKED],
    /FORWARDED: the client sees arrived at the node\nbecause: CiliumClusterwideNetworkPolicy edge ingress\[0\]/,
  ],
  [
    'another is dropped by the host endpoint',
    ['verdict', ON, '--from', 'xwing', ...ASKED],
    / {2}reserved:host: dropped: 133 Policy denied\n/,
  ],
  [
    'and the smallest rule selects the node',
    ['verdict', ON, '--from', 'xwing', ...ASKED],
    /nodeSelector:\n {4}matchLabels:\n {6}role: edge\n/,
  ],
  [
    'the world is asked about by policy alone',
    ['verdict', ON, '--from', 'world', '--to', 'reserved:host', '--port', '22'],
    /reserved:host: ingress policy, 22\/TCP from identity 2: drop\n/,
  ],
  [
    'without the firewall that is allowed, and it is said why',
    ['verdict', '--from', 'world', '--to', 'host', '--port', '22'],
    IGNORED,
  ],
  ['the matrix has the host', ['matrix', ON, '--to', 'reserved:host'], /default\/tiefighter +host +22\/TCP\n/],
  ['without the firewall the matrix says what is ignored', ['matrix', '--to', 'host'], IGNORED],
  [
    'policy follows its rules to its map',
    ['policy', ON, '--pod', 'reserved:host'],
    /Rules that select reserved:host, identity 1:\n {2}CiliumClusterwideNetworkPolicy edge .*\n[\s\S]*cilium_policy_v2_04094/,
  ],
  [
    'bpf policy get knows it by name',
    ['bpf', 'policy', 'get', ON, '--numeric', 'reserved:host'],
    /^Allow +Ingress +\d+ +22\/TCP/m,
  ],
  [
    'bpf policy list has its map beside those of pods',
    ['bpf', 'policy', 'list', ON],
    /Endpoint ID: 4094\nPath: cilium_policy_v2_04094\n/,
  ],
  [
    'trace packet asks its map',
    ['trace', 'packet', ON, '--from', 'xwing', '--to', '192.168.1.1:22', '--syn'],
    /cil_to_host \(reserved:host, endpoint 4094\)[\s\S]*cilium_policy_v2_04094/,
  ],
];
test.each(rows)('%s', async (_name, args, want) => {
  const { code, stdout } = await ciliateHere(...args, ...files);
  expect(code).toBe(0);
  expect(stdout).toMatch(want);
});

test('diff shows what the policy about the node changes, and only with the firewall', async () => {
  const sides = ['--old', files[1]!, '--new', files[1]!, files[3]!];
  const { stdout: on } = await ciliateHere('diff', ON, ...sides);
  expect(on).toMatch(/default\/xwing.* -> host: .*\n {2}allow -> deny\n/);
  const { stdout: off } = await ciliateHere('diff', ...sides);
  expect(off).toMatch(/^No flow changes its verdict\.\n/);
  expect(off).toMatch(IGNORED);
});
