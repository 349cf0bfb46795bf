import { expect, test } from 'vitest';
import { tabwriter } from '../src/render_tabwriter.ts';
import { ciliateHere } from './ciliate.ts';

const DEATHSTAR = ['-f', 'examples/deathstar', '-f', 'examples/deathstar/policies/l7.yaml'];
const CAPTURE = 'examples/deathstar/deathstar.pcapng';

const bpf = (args: string) => ciliateHere('bpf', ...args.split(' '), ...DEATHSTAR);

/** Each line that is wanted stands somewhere in what is printed, whole. */
const lists: [name: string, args: string, lines: RegExp[]][] = [
  [
    'services with their backends',
    'lb list',
    [
      /^SERVICE ADDRESS +BACKEND ADDRESS \(REVNAT_ID\) \(SLOT\)$/,
      /^10\.96\.0\.80:80\/TCP \(0\) {3}0\.0\.0\.0:0 \(1\) \(0\) \[ClusterIP, non-routable\] +$/,
      /^10\.96\.0\.80:80\/TCP \(2\) {3}10\.0\.0\.12:80\/TCP \(1\) \(2\) +$/,
    ],
  ],
  ['backends', 'lb list --backends', [/^ID {3}BACKEND ADDRESS/, /^1 {4}TCP:\/\/10\.0\.0\.11 +$/]],
  ['frontends', 'lb list --frontends', [/^10\.96\.0\.80:80\/TCP \(0\) {3}0 2\[0\] \(1\) \[0x0 0x0\] +$/]],
  ['what clients know services by', 'lb list --revnat', [/^1 {4}10\.96\.0\.80:80 +$/]],
  ['no source ranges', 'lb list --source-ranges', [/^SOURCE RANGE \(REVNAT_ID\) +$/]],
  ['prefixes', 'ipcache list', [/^IP PREFIX\/ADDRESS +IDENTITY$/, /^0\.0\.0\.0\/0 +identity=2 encryptkey=0 /]],
  ['endpoints', 'endpoint list', [/^IP ADDRESS +LOCAL ENDPOINT INFO$/, /^192\.168\.1\.1:0 +\(localhost\) +$/]],
  [
    'a policy map by the name of the pod',
    'policy get deathstar-2',
    [
      /^POLICY +DIRECTION +LABELS \(source:key\[=value\]\) +PORT\/PROTO +PROXY PORT +AUTH TYPE +BYTES +PACKETS +PREFIX +$/,
      /^Allow +Ingress +k8s:class=tiefighter +80\/TCP +10000 +disabled +- +- +24 +$/,
      /^ {21}k8s:org=empire +$/,
    ],
  ],
  [
    'a policy map by id, in numbers, with what the capture counted',
    `policy get 2 -n ${CAPTURE}`,
    [/^Allow +Ingress +434 +80\/TCP +10000 +disabled +2068 +21 +24 +$/],
  ],
  ['all policy maps', 'policy get --all', [/^Endpoint ID: 5$/, /^Path: cilium_policy_v2_00005$/]],
  [
    'connections of the capture, all shards',
    `ct list -d ${CAPTURE}`,
    [
      /^TCP SVC 10\.0\.0\.21:\d+ -> 10\.96\.0\.80:80 expires=\d+ \(remaining: \d+ sec\(s\)\) .* BackendID=[12] $/,
      /^TCP IN 10\.0\.0\.21:\d+ -> 10\.0\.0\.1[12]:80 .* \[ .*ProxyRedirect \] RevNAT=0 SourceSecurityID=434 BackendID=0 $/,
      /^UDP OUT 10\.0\.0\.\d+:\d+ -> 10\.0\.0\.53:53 /,
    ],
  ],
  [
    'metrics of the capture',
    `metrics list ${CAPTURE}`,
    [/^REASON +DIRECTION +PACKETS +BYTES +LINE +FILE$/, /^Policy denied +INGRESS +5 +370 +0 +unknown\(0\)$/],
  ],
];

test.each(lists)('bpf %s', async (_name, args, wanted) => {
  const { code, stdout, stderr } = await bpf(args);
  expect([code, stderr]).toEqual([0, '']);
  const lines = stdout.split('\n');
  for (const line of wanted) expect(lines).toContainEqual(expect.stringMatching(line));
});

const records: [args: string, want: unknown][] = [
  ['ipcache list', { '0.0.0.0/0': ['identity=2 encryptkey=0 tunnelendpoint=0.0.0.0 flags=<none>'] }],
  ['lb list', { '10.96.0.80:80/TCP (1)': ['10.0.0.11:80/TCP (1) (1)'] }],
  ['nat list', []],
  [`metrics list ${CAPTURE}`, [{ reason: 'Policy denied', direction: 'ingress', packets: 5, bytes: 370 }]],
  [`ct list ${CAPTURE}`, [{ Key: { DestAddr: [10, 0, 0, 31], NextHeader: 6 }, Value: { SourceSecurityID: 34687 } }]],
  ['policy get 2', [{ Key: { Prefixlen: 64, Identity: 434, Nexthdr: 6 }, ProxyPortNetwork: 0x1027 }]],
  ['policy get --all', [{ EndpointID: '1', Path: 'cilium_policy_v2_00001' }]],
];

test.each(records)('bpf %s -o json has the shape of cilium-dbg', async (args, want) => {
  const { code, stdout } = await bpf(`${args} -o json`);
  expect(code).toBe(0);
  const json = JSON.parse(stdout);
  if (!Array.isArray(want)) expect(json).toMatchObject(want as object);
  else for (const one of want) expect(json).toContainEqual(expect.objectContaining(nested(one)));
  if (Array.isArray(want)) expect(Array.isArray(json)).toBe(true);
});

const nested = (value: object): object =>
  Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      typeof member === 'object' && !Array.isArray(member) ? expect.objectContaining(member) : member,
    ]),
  );

test('an entry that counted nothing has the largest u64 in JSON, with all its digits', async () => {
  expect((await bpf('policy get 2 -o json')).stdout).toContain('"Packets": 18446744073709551615');
});

test('where there is nothing to list, stderr says so', async () => {
  const { code, stdout, stderr } = await bpf('frag list');
  expect([code, stdout, stderr]).toEqual([0, '', 'No entries found.\n']);
});

const refused: [name: string, args: string, message: RegExp][] = [
  ['an unknown endpoint', 'policy get luke', /no endpoint "luke"; there are 1 \(default\/deathstar-1\)/],
  ['no endpoint', 'policy get', /name an endpoint .*--all/],
  ['two maps at once', 'lb list --revnat --backends', /'--revnat' cannot be used with option '--backends'/],
  ['another format', 'ct list -o yaml', /Allowed choices are json/],
  ['an unknown map', 'tunnel list', /unknown command 'tunnel'/],
  ['a service that has no Maglev table', 'lb maglev get 7', /No entry found for service 7/],
];

test.each(refused)('bpf with %s exits 2', async (_name, args, message) => {
  const { code, stdout, stderr } = await bpf(args);
  expect(stderr).toMatch(message);
  expect([code, stdout]).toEqual([2, '']);
});

const tables: [name: string, text: string, want: string][] = [
  ['a column is as wide as its widest cell and 3', 'a\tbb\tc\naaaa\tb\tc\n', 'a      bb   c\naaaa   b    c\n'],
  ['the narrowest column has 5', 'a\tb\n', 'a    b\n'],
  ['what ends with a tab ends with spaces', 'a\tb\t\n', 'a    b    \n'],
  ['a line without the column begins a new one', 'aaaaaaa\tb\nx\ny\tb\n', 'aaaaaaa   b\nx\ny    b\n'],
];
test.each(tables)('tables: %s', (_name, text, want) => {
  expect(tabwriter(text)).toBe(want);
});
