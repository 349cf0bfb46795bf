import type { PolicyObject } from '@ciliate/k8s';
import { Labels } from '@ciliate/labels';
import { expect, test } from 'vitest';
import { explainFlow, type FlowExplanation } from '../src/explain/explain.ts';
import { NamedPorts } from '../src/named_ports.ts';
import { PolicyRepository, resolveSelectorPolicy } from '../src/repository.ts';
import { SelectorCache } from '../src/selectorcache.ts';
import { ccnp, cnp, networkPolicy, policyOf } from './objects.ts';
import { pod, RESERVED } from './rules.ts';

const WEB = 1001;
const [CLIENT, CLIENT_DEBUG, OTHER, ELSEWHERE, BLOCK, INNER, NAMED] = [
  1002, 1003, 1004, 1005, 16777217, 16777218, 16777219,
];
const elsewhere = Labels.parse(['k8s:app=client', 'k8s:io.kubernetes.pod.namespace=elsewhere']);
const IDENTITIES: readonly (readonly [number, Labels])[] = [
  ...RESERVED,
  [WEB, pod({ app: 'web' })],
  [CLIENT, pod({ app: 'client', tier: 'front' })],
  [CLIENT_DEBUG, pod({ app: 'client', tier: 'front', debug: 'true' })],
  [OTHER, pod({ app: 'other', tier: 'front' })],
  [ELSEWHERE, elsewhere],
  [BLOCK, Labels.parse(['cidr:10.1.0.0/16', 'reserved:world'])],
  [INNER, Labels.parse(['cidr:10.1.2.0/24', 'reserved:world'])],
  [NAMED, Labels.parse(['fqdn:x.example', 'reserved:world'])],
];

interface Asked {
  readonly egress?: boolean;
  readonly identity?: number;
  readonly protocol?: number;
  readonly dport?: number;
}

function explain(policies: readonly PolicyObject[], asked: Asked = {}, peerAddress?: string): FlowExplanation {
  const repository = new PolicyRepository();
  for (const object of policies) repository.upsert(object);
  const subject = { identity: WEB, labels: pod({ app: 'web' }) };
  const namedPorts = [{ name: 'http', protocol: 'TCP' as const, port: 8080 }];
  const allNamedPorts = NamedPorts.of([namedPorts]);
  const policy = resolveSelectorPolicy(repository, subject, new SelectorCache(IDENTITIES)).distill({
    namedPorts,
    allNamedPorts,
  });
  return explainFlow(
    repository,
    subject,
    policy,
    {
      egress: false,
      identity: CLIENT,
      protocol: 6,
      dport: 80,
      ...asked,
    },
    peerAddress,
  );
}

const named = (name: string, object: PolicyObject): PolicyObject =>
  ({ ...object, metadata: { ...object.metadata, name } }) as PolicyObject;
const front = 'fromEndpoints: [{ matchLabels: { tier: front } }]';
const tcp = (port: string, more = ''): string => `toPorts: [{ ports: [{ port: "${port}", protocol: TCP }]${more} }]`;

const range = (first: number, last: number, more = ''): string =>
  `{ ports: [{ port: "${first}", endPort: ${last}, protocol: TCP }]${more} }`;
const HTTP = ', rules: { http: [{ method: GET }] }';

const losses: [name: string, policies: PolicyObject[], won: string[], lost: string[]][] = [
  [
    'a deny wins over an allow of the same peers and port, which Cilium merges into it',
    [cnp(`ingress: [{ ${front} }], ingressDeny: [{ ${front} }]`)],
    ['ingressDeny[0]'],
    ['ingress[0] deny-wins'],
  ],
  [
    'a deny for everybody covers one for the peer',
    [cnp(`ingressDeny: [{ fromEntities: [all] }, { ${front}, ${tcp('80')} }]`)],
    ['ingressDeny[0]'],
    ['ingressDeny[1] covered-by-deny'],
  ],
  [
    'a redirect wins over a plain allow of a narrower port by its priority',
    [
      cnp(
        `ingress: [{ ${front}, ${tcp('80')} }, { fromEntities: [all], ${tcp('80', ', rules: { http: [{ method: GET }] }')} }]`,
      ),
    ],
    ['ingress[1]'],
    ['ingress[0] proxy-priority'],
  ],
  [
    'of two allows that of the more specific ports decides',
    [cnp(`ingress: [{ ${front} }, { ${tcp('80')} }]`)],
    ['ingress[1]'],
    ['ingress[0] more-specific-port'],
  ],
  [
    "of two allows with equal ports that of the peer's identity decides, and both come from different filters",
    [cnp(`ingress: [{ ${front} }, { fromEntities: [all], authentication: { mode: required } }]`)],
    ['ingress[0]'],
    ['ingress[1] identity-first'],
  ],
  [
    'an allow for the peer that says what is said for everybody has no entry',
    [cnp(`ingress: [{ ${front}, ${tcp('80')} }, { ${tcp('80')} }]`)],
    ['ingress[1]'],
    ['ingress[0] same-as-everybody'],
  ],
  [
    'one rule about two ports: where the one is left out, an entry with its key is of the other',
    [
      cnp(
        `ingress: [{ ${front}, authentication: { mode: required } }, ` +
          `{ ${front}, toPorts: [${range(1, 65535)}, ${range(64, 127, HTTP)}] }, ` +
          `{ fromEntities: [all], toPorts: [${range(64, 127, HTTP)}] }]`,
      ),
    ],
    ['ingress[2]'],
    ['ingress[0] proxy-priority', 'ingress[1] proxy-priority', 'ingress[1] same-as-everybody'],
  ],
  [
    'two rules about the same peers and port both count',
    [cnp(`ingress: [{ ${front}, ${tcp('80')} }, { ${front}, ${tcp('80')} }]`)],
    ['ingress[0]', 'ingress[1]'],
    [],
  ],
];

test.each(losses)('%s', (_name, policies, won, lost) => {
  const explanation = explain(policies);
  const texts = (origins: FlowExplanation['because'][number]['origins']): string[] =>
    origins.map(({ list, ruleIndex }) => `${list}[${ruleIndex}]`);
  expect(explanation.because.flatMap(({ origins }) => texts(origins))).toEqual(won);
  expect(explanation.lost.flatMap(({ origins, reason }) => texts(origins).map((text) => `${text} ${reason}`))).toEqual(
    lost,
  );
});

const misses: [name: string, policy: PolicyObject, asked: Asked, want: string[]][] = [
  [
    'the peer has another value of a label',
    cnp('ingress: [{ fromEndpoints: [{ matchLabels: { app: other } }] }]'),
    {},
    ['peer: selects app=other,k8s:io.kubernetes.pod.namespace=default, but the peer has app=client'],
  ],
  [
    'the peer lacks a label and has one that must be absent',
    cnp(
      'ingress: [{ fromEndpoints: [{ matchExpressions: [{ key: vip, operator: Exists }, { key: tier, operator: DoesNotExist }] }] }]',
    ),
    {},
    ['peer: selects k8s:io.kubernetes.pod.namespace=default,vip,!tier, but the peer has no vip and has tier=front'],
  ],
  ['the port is another', cnp(`ingress: [{ ${front}, ${tcp('443')} }]`), {}, ['port: is about 443/TCP, not 80/TCP']],
  [
    'the protocol is another',
    cnp(`ingress: [{ ${front}, ${tcp('80')} }]`),
    { protocol: 17 },
    ['protocol: is about 80/TCP, not UDP'],
  ],
  [
    'the name of the port means another one',
    cnp(`ingress: [{ ${front}, ${tcp('http')} }]`),
    {},
    ['port: is about http/TCP, not 80/TCP; http is 8080 here'],
  ],
  [
    'the name of the port means none',
    cnp(`ingress: [{ ${front}, ${tcp('metrics')} }]`),
    {},
    ['port: is about metrics/TCP, not 80/TCP; the endpoint has no one port of the name metrics'],
  ],
  [
    'the list of peers is empty',
    cnp('ingress: [{ fromEndpoints: [] }]'),
    {},
    ['empty: its list of peers is empty, so it allows nobody'],
  ],
  [
    'the rule says nothing',
    cnp('ingress: [{}]'),
    {},
    ['empty: it names neither peers nor ports, so it allows nothing'],
  ],
  [
    'peer and port are both amiss',
    cnp(`ingress: [{ fromEntities: [host], ${tcp('443')} }]`),
    {},
    ['peer: selects reserved:host, but the peer has no reserved:host', 'port: is about 443/TCP, not 80/TCP'],
  ],
  [
    'a NetworkPolicy names prefixes, the peer is a pod',
    networkPolicy('policyTypes: [Ingress], ingress: [{ from: [{ ipBlock: { cidr: 10.0.0.0/8 } }] }]'),
    {},
    ['peer: selects cidr:10.0.0.0/8, but the peer has no cidr:10.0.0.0/8'],
  ],
];

test.each(misses)('a rule does not allow a flow: %s', (_name, policy, asked, want) => {
  const { verdict, nearMisses, selectedBy } = explain([policy], asked);
  expect(verdict).toBe('drop');
  expect(selectedBy.map(({ name, position: { line } }) => `${name}:${line}`)).toEqual(['p:4']);
  expect(nearMisses.flatMap((miss) => miss.misses.map(({ by, why }) => `${by}: ${why}`))).toEqual(want);
});

test('of rules that nearly allow a flow, those come first that lack least', () => {
  const { nearMisses } = explain([
    cnp(
      `ingress: [{ fromEntities: [host], ${tcp('443')} }, { fromEndpoints: [{ matchLabels: { app: a, x: z } }] }, { ${front}, ${tcp('81')} }]`,
    ),
  ]);
  expect(nearMisses.map(({ origin }) => origin.ruleIndex)).toEqual([2, 1, 0]);
});

const nobody = cnp('ingress: [{}], egress: [{}]');
const suggestions: [name: string, asked: Asked, want: string, also: number[]][] = [
  ['a pod by the label that only it has', { identity: OTHER }, 'fromEndpoints: - matchLabels: app: other toPorts:', []],
  [
    'a pod whose labels another one has too, also by what it lacks',
    { identity: CLIENT },
    'fromEndpoints: - matchLabels: app: client matchExpressions: - key: debug operator: DoesNotExist toPorts:',
    [],
  ],
  [
    'a pod of another namespace by its namespace',
    { identity: ELSEWHERE },
    'fromEndpoints: - matchLabels: k8s:io.kubernetes.pod.namespace: elsewhere app: client toPorts:',
    [],
  ],
  [
    'the world as an entity, with all that is outside',
    { identity: 2 },
    'fromEntities: - world',
    [9, 10, BLOCK, INNER, NAMED],
  ],
  [
    'a prefix without the longer one in it',
    { identity: BLOCK },
    'fromCIDRSet: - cidr: "10.1.0.0/16" except: - "10.1.2.0/24"',
    [],
  ],
  ['a prefix in another', { identity: INNER, egress: true }, 'toCIDR: - "10.1.2.0/24"', []],
  ['a name, for egress', { identity: NAMED, egress: true }, 'toFQDNs: - matchName: x.example', []],
  [
    'another node as an entity, with API servers, which are on nodes',
    { identity: 6 },
    'fromEntities: - remote-node',
    [7],
  ],
  ['an API server as an entity', { identity: 7, egress: true }, 'toEntities: - kube-apiserver', []],
  ['a type of ICMP', { protocol: 1, dport: 8 }, 'icmps: - fields: - family: IPv4 type: 8', []],
  [
    'port 0 with its neighbour, since 0 alone means every port',
    { identity: OTHER, dport: 0 },
    'toPorts: - ports: - port: "0" protocol: TCP endPort: 1',
    [],
  ],
  [
    'no port for a protocol that rules have no name for',
    { identity: OTHER, protocol: 47 },
    'matchLabels: app: other',
    [],
  ],
];

test.each(suggestions)('the smallest rule names %s', (_name, asked, want, also) => {
  const { remedy } = explain([nobody], asked);
  if (remedy?.kind !== 'allow') throw new Error(`no suggestion: ${JSON.stringify(remedy)}`);
  const { yaml, alsoPeers, alsoSubjects } = remedy.suggestion;
  expect(yaml.replaceAll(/\s+/g, ' ')).toContain(want);
  expect([...alsoPeers].sort((a, b) => a - b)).toEqual(also);
  expect(alsoSubjects).toEqual([]);
  expect(explain([nobody, policyOf(yaml)], asked).verdict).toBe('allow');
});

const addresses: [name: string, identity: number, address: string, want: string][] = [
  ['of the world', 2, '192.0.2.7', 'toCIDR: - "192.0.2.7/32"'],
  ['in a prefix that a policy names', BLOCK, '10.1.9.9', 'toCIDR: - "10.1.9.9/32"'],
  ['of IPv6', 2, '2001:db8::1', 'toCIDR: - "2001:db8::1/128"'],
];

test.each(addresses)('an address %s is named alone, if it is known', (_name, identity, address, want) => {
  const { remedy } = explain([nobody], { egress: true, identity }, address);
  if (remedy?.kind !== 'allow') throw new Error('no suggestion');
  const { yaml, alsoPeers, entry } = remedy.suggestion;
  expect(yaml.replaceAll(/\s+/g, ' ')).toContain(want);
  expect([alsoPeers, entry.deny]).toEqual([[], false]);
});

test('the address of a pod changes nothing: a pod is named by its labels', () => {
  const { remedy } = explain([nobody], { identity: OTHER }, '10.0.0.9');
  expect(remedy?.kind === 'allow' && remedy.suggestion.yaml).toContain('app: other');
});

test('the suggestion is YAML as people write it', () => {
  const { remedy } = explain([nobody], { identity: ELSEWHERE });
  expect(remedy?.kind === 'allow' && remedy.suggestion.yaml).toBe(`apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: allow-80-tcp-from-1005
  namespace: default
spec:
  endpointSelector:
    matchLabels:
      app: web
  ingress:
    - fromEndpoints:
        - matchLabels:
            k8s:io.kubernetes.pod.namespace: elsewhere
            app: client
      toPorts:
        - ports:
            - port: "80"
              protocol: TCP
`);
});

test('the suggestion does not replace a policy that has its name', () => {
  const { remedy } = explain([named('allow-80-tcp-from-1002', nobody)]);
  expect(remedy?.kind === 'allow' && remedy.suggestion.policy.name).toBe('allow-80-tcp-from-1002-2');
});

test('for a flow that rules deny, all of them are named, and no rule is suggested', () => {
  const { remedy } = explain([
    named('first', cnp(`ingressDeny: [{ ${front} }]`)),
    named('second', ccnp('endpointSelector: {}, ingressDeny: [{ fromEntities: [all] }]')),
  ]);
  expect(remedy?.kind === 'denied' && remedy.by.map(({ name, list }) => `${name} ${list}`).sort()).toEqual([
    'first ingressDeny',
    'second ingressDeny',
  ]);
});

test('a peer that a rule requires to be otherwise cannot be let in by its labels', () => {
  const { remedy } = explain([cnp('ingress: [{ fromRequires: [{ matchLabels: { vip: "true" } }] }]')]);
  expect(remedy).toMatchObject({
    kind: 'none',
    why: expect.stringMatching(/p ingress\[0\] \(p\.yaml:4\) requires vip=true/),
  });
});

test('an endpoint that no policy selects needs no rule', () => {
  const { verdict, because, remedy } = explain([]);
  expect([verdict, because[0]!.origins[0]!.name, remedy]).toEqual(['allow', 'allow-any-ingress', undefined]);
});

const nodes: [name: string, labels: string[], selector: string][] = [
  [
    'by all its labels',
    ['reserved:host', 'k8s:role=edge', 'k8s:zone=a'],
    '    matchLabels:\n      role: edge\n      zone: a\n',
  ],
  ['if it has none, every node', ['reserved:host'], ''],
];
test.each(nodes)('the smallest policy for the node itself selects nodes: %s', (_name, labels, selector) => {
  const repository = new PolicyRepository({ hostFirewall: true });
  repository.upsert(ccnp('nodeSelector: {}, ingress: [{}]'));
  const subject = { identity: 1, labels: Labels.parse(labels) };
  const policy = resolveSelectorPolicy(repository, subject, new SelectorCache(IDENTITIES)).distill();
  const flow = { egress: false, identity: OTHER, protocol: 6, dport: 22 };
  const { verdict, remedy } = explainFlow(repository, subject, policy, flow);
  expect(verdict).toBe('drop');
  const yaml = remedy?.kind === 'allow' ? remedy.suggestion.yaml : '';
  expect(yaml).toContain(`nodeSelector:${selector === '' ? ' {}' : ''}\n${selector}  ingress:\n`);
});

test('without the host firewall the node lets everything through, whatever rules say about it', () => {
  const repository = new PolicyRepository();
  repository.upsert(ccnp('nodeSelector: {}, ingress: [{}]'));
  const subject = { identity: 1, labels: Labels.parse(['reserved:host']) };
  const { mapState } = resolveSelectorPolicy(repository, subject, new SelectorCache(IDENTITIES)).distill();
  expect([...mapState].map(({ key: { identity, egress } }) => [identity, egress])).toEqual([
    [0, false],
    [0, true],
  ]);
});
