import { decodeObjects, ObjectStore } from '@ciliate/k8s';
import { coverageText, lookupMapState, type PathVerdict, REACH_PROTOCOLS, type Reachability } from '@ciliate/policy';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ClusterPolicy, diffReach, type Party, partiesOf, type ReachDiff, reachMatrix } from '../src/index.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

interface PodSpec {
  readonly name: string;
  readonly labels: string;
  readonly ports?: string;
}
const pod = ({ name, labels, ports = '' }: PodSpec, index: number): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: default, labels: { ${labels} } }
spec: { containers: [{ name: c, image: i, ports: [${ports}] }] }
status: { phase: Running, podIP: 10.0.0.${index + 1}, podIPs: [{ ip: 10.0.0.${index + 1} }] }
`;
const policy = (spec: string, name = 'p'): string => `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: ${name}, namespace: default }
spec: { ${spec} }
`;
const PODS: readonly PodSpec[] = [
  { name: 'web', labels: 'app: web', ports: '{ name: http, containerPort: 8080, protocol: TCP }' },
  { name: 'client', labels: 'app: client' },
  { name: 'other', labels: 'app: other' },
];
const cluster = (policies: readonly string[], pods: readonly PodSpec[] = PODS): Promise<ClusterPolicy> => {
  const store = new ObjectStore();
  for (const object of decodeObjects([...pods.map(pod), ...policies].join('---'), 'c.yaml')) store.apply(object);
  return ClusterPolicy.of(store, 1);
};

const word = ({ verdict, authType, egress, ingress }: PathVerdict): string => {
  const l7 = [egress, ingress].flatMap((side) => side?.l7 ?? []);
  return [verdict, ...l7, ...(authType === 0 ? [] : [`auth ${authType}`])].join(' ');
};
/** Each change in a line: who, on what, from what to what. Only what concerns pods and prefixes. */
const lines = ({ changes }: ReachDiff): string[] =>
  changes.flatMap(({ from, to, spans, before, after }) => {
    const names = (parties: typeof from): string =>
      parties.flatMap((party) => party.names.filter((name) => /\//.test(name))).join(' ');
    const [senders, receivers] = [names(from), names(to)];
    if (senders === '' || receivers === '') return [];
    return [`${senders} -> ${receivers}: ${coverageText(spans)}: ${word(before)} -> ${word(after)}`];
  });

const toWeb = 'endpointSelector: { matchLabels: { app: web } }';
const fromClient = 'fromEndpoints: [{ matchLabels: { app: client } }]';
const on = (port: string, more = ''): string => `toPorts: [{ ports: [{ port: "${port}", protocol: TCP${more} }] }]`;

const diffs: [name: string, before: string[], after: string[], want: string[]][] = [
  ['nothing changes', [policy(`${toWeb}, ingress: [{}]`)], [policy(`${toWeb}, ingress: [{}]`)], []],
  [
    'a policy takes all but one port away',
    [],
    [policy(`${toWeb}, ingress: [{ ${fromClient}, ${on('80')} }]`)],
    [
      'default/other default/web -> default/web: everything: allow -> deny',
      'default/client -> default/web: everything but 80/TCP: allow -> deny',
    ],
  ],
  [
    'a range grows by one port at each end',
    [policy(`${toWeb}, ingress: [{ ${fromClient}, ${on('8000', ', endPort: 8080')} }]`)],
    [policy(`${toWeb}, ingress: [{ ${fromClient}, ${on('7999', ', endPort: 8081')} }]`)],
    ['default/client -> default/web: 7999,8081/TCP: deny -> allow'],
  ],
  [
    'a rule of HTTP changes, the port stays',
    [
      policy(
        `${toWeb}, ingress: [{ ${fromClient}, toPorts: [{ ports: [{ port: "80", protocol: TCP }], rules: { http: [{ method: GET }] } }] }]`,
      ),
    ],
    [
      policy(
        `${toWeb}, ingress: [{ ${fromClient}, toPorts: [{ ports: [{ port: "80", protocol: TCP }], rules: { http: [{ method: POST }] } }] }]`,
      ),
    ],
    ['default/client -> default/web: 80/TCP: redirect GET any path -> redirect POST any path'],
  ],
  [
    'authentication is asked for',
    [policy(`${toWeb}, ingress: [{ ${fromClient} }]`)],
    [policy(`${toWeb}, ingress: [{ ${fromClient}, authentication: { mode: required } }]`)],
    ['default/client -> default/web: everything: allow -> allow auth 1'],
  ],
  [
    'a denied flow is denied by another rule: no change',
    [policy(`${toWeb}, ingress: [{}]`)],
    [policy(`${toWeb}, ingressDeny: [{ fromEntities: [all] }]`)],
    [],
  ],
  [
    'both ends must allow: a new rule at one end changes nothing while the other denies',
    [
      policy(`${toWeb}, ingress: [{}]`),
      policy('endpointSelector: { matchLabels: { app: client } }, egress: [{}]', 'q'),
    ],
    [
      policy(`${toWeb}, ingress: [{ ${fromClient} }]`),
      policy('endpointSelector: { matchLabels: { app: client } }, egress: [{}]', 'q'),
    ],
    [],
  ],
  [
    'a named port means its number',
    [policy(`${toWeb}, ingress: [{}]`)],
    [policy(`${toWeb}, ingress: [{ ${fromClient}, ${on('http')} }]`)],
    ['default/client -> default/web: 8080/TCP: deny -> allow'],
  ],
  [
    'a prefix that only the new policy names was the world before',
    [policy(`${toWeb}, egress: [{ toCIDR: [10.1.0.0/16] }]`)],
    [
      policy(
        `${toWeb}, egress: [{ toCIDRSet: [{ cidr: 10.1.0.0/16, except: [10.1.2.0/24] }] }, { toEntities: [cluster] }]`,
      ),
    ],
    [
      'default/web -> 10.1.2.0/24: everything: allow -> deny',
      'default/web -> default/client default/other default/web: everything: deny -> allow',
    ],
  ],
  [
    'a type of ICMP is allowed',
    [policy(`${toWeb}, ingress: [{}]`)],
    [policy(`${toWeb}, ingress: [{ ${fromClient}, icmps: [{ fields: [{ family: IPv4, type: 8 }] }] }]`)],
    ['default/client -> default/web: ICMP type 8: deny -> allow'],
  ],
];

test.each(diffs)('diff: %s', async (_name, before, after, want) => {
  expect(lines(diffReach(await cluster(before), await cluster(after))).sort()).toEqual(want.sort());
});

test('diff says which pods are new, gone or relabelled, and compares those that are in both', async () => {
  const rules = [policy(`${toWeb}, ingress: [{ ${fromClient} }]`)];
  const [web, client, other] = PODS as [PodSpec, PodSpec, PodSpec];
  const before = await cluster(rules, [web, client, other]);
  const after = await cluster(rules, [
    web,
    { ...client, labels: 'app: retired' },
    { name: 'newcomer', labels: 'app: client' },
  ]);
  const diff = diffReach(before, after);
  expect(diff.pods).toMatchObject({ added: ['default/newcomer'], removed: ['default/other'] });
  expect(diff.pods.relabelled.map(({ name }) => name)).toEqual(['default/client']);
  expect(lines(diff)).toEqual(['default/client -> default/web: everything: allow -> deny']);
});

test('a change says for each direction by which rules it was and is', async () => {
  const diff = diffReach(await cluster([]), await cluster([policy(`${toWeb}, ingress: [{}]`)]));
  const reasons = diff.changes.flatMap((change) => change.reasons);
  expect(reasons).toEqual([
    {
      direction: 'ingress',
      before: 'allow by allow-any-ingress',
      after: 'no rule allows it; in default deny by CiliumNetworkPolicy default/p (c.yaml:23)',
    },
  ]);
});

test('matrix: everybody who reaches a pod, with entities and named prefixes', async () => {
  const view = await cluster([
    policy(`${toWeb}, ingress: [{ ${fromClient}, ${on('80')} }, { fromCIDR: [192.0.2.0/24] }]`),
  ]);
  const cells = reachMatrix(
    view,
    () => true,
    (name) => name === 'default/web',
  );
  const reaching = cells.flatMap(({ from, flows }) =>
    flows.flatMap(({ spans, verdict }) =>
      verdict.verdict === 'deny' ? [] : [`${from.names.join()} ${coverageText(spans)}`],
    ),
  );
  expect(reaching).toEqual(['host everything', '192.0.2.0/24 everything', 'default/client 80/TCP']);
});

const RULES = [
  `${toWeb}, ingress: [{ ${fromClient}, ${on('80', ', endPort: 90')} }]`,
  `${toWeb}, ingress: [{ fromEntities: [all], ${on('80')} }]`,
  `${toWeb}, ingressDeny: [{ ${fromClient}, ${on('85')} }]`,
  'endpointSelector: {}, egress: [{ toEndpoints: [{}] }]',
  'endpointSelector: { matchLabels: { app: client } }, egress: [{ toCIDR: [192.0.2.0/24] }]',
  `${toWeb}, ingress: [{ ${fromClient}, authentication: { mode: required }, ${on('81')} }]`,
].map((spec, index) => policy(spec, `p${index}`));

test('a port of a pair is in the diff if and only if looking it up in both clusters differs', async () => {
  const port = fc.constantFrom(0, 79, 80, 81, 84, 85, 86, 90, 91, 443);
  await fc.assert(
    fc.asyncProperty(
      fc.subarray(RULES),
      fc.subarray(RULES),
      fc.array(port, { minLength: 3 }),
      async (old, now, ports) => {
        const clusters = [await cluster(old), await cluster(now)] as const;
        const { changes } = diffReach(...clusters);
        const parties = partiesOf(clusters);
        for (const from of parties) {
          for (const to of parties) {
            for (const dport of ports) {
              for (const { protocol, last } of REACH_PROTOCOLS) {
                if (dport > last) continue;
                const listed = changes.filter(
                  (change) =>
                    isIn(change.from, from) &&
                    isIn(change.to, to) &&
                    change.spans.some((one) => one.protocol === protocol && one.first <= dport && dport <= one.last),
                );
                const [was, is] = [0, 1].map((at) => lookedUp(from.nodes[at]!, to.nodes[at]!, { protocol, dport }));
                expect(listed).toHaveLength(was === is ? 0 : 1);
              }
            }
          }
        }
      },
    ),
    { seed, numRuns: 15 },
  );
});

const isIn = (parties: readonly Party[], party: Party): boolean =>
  parties.some(({ names }) => names.join() === party.names.join());

type Node = Parameters<Reachability['between']>[0];
function lookedUp(from: Node, to: Node, flow: { protocol: number; dport: number }): string {
  const egress = from.policy && lookupMapState(from.policy.mapState, { egress: true, identity: to.identity, ...flow });
  const ingress = to.policy && lookupMapState(to.policy.mapState, { egress: false, identity: from.identity, ...flow });
  const passes =
    (from.policy === undefined || egress?.deny === false) && (to.policy === undefined || ingress?.deny === false);
  return passes ? `allow ${Math.max(egress?.authType ?? 0, ingress?.authType ?? 0)}` : 'deny';
}
