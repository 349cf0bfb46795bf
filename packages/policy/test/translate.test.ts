import type { PolicyObject } from '@ciliate/k8s';
import { describe, expect, test } from 'vitest';
import type { Rule } from '../src/api/rule.ts';
import { ccnp, cnp, cnpOf, type Given, networkPolicy, peersOf, portsOf, rulesOf } from './objects.ts';

const NAMESPACE = '"k8s:io.kubernetes.pod.namespace":"default"';
const EXISTS = '{"key":"k8s:io.kubernetes.pod.namespace","operator":"Exists"}';
const CLUSTER = '"k8s:io.cilium.k8s.policy.cluster":"default"';
const LOCAL: Given = { config: { policyDefaultLocalCluster: true } };
const DUAL: Given = { config: { enableIPv6: true } };
const IPV6_ONLY: Given = { config: { enableIPv4: false, enableIPv6: true } };
const labels = (...pairs: string[]): string => `{"matchLabels":{${pairs.join()}}}`;
const cidr = (key: string, ...more: string[]): string =>
  `{"matchExpressions":[{"key":"${key}","operator":"Exists"}${more.map((one) => `,{"key":"${one}","operator":"DoesNotExist"}`).join('')}]}`;
const reserved = (name: string): string => `{"matchLabels":{"reserved:${name}":""}}`;
const group = (name: string): string => `cidrgroup:io.cilium.policy.cidrgroupname/${name}`;

const from = (selector: string): PolicyObject => cnp(`ingress: [{ fromEndpoints: [${selector}] }]`);
const to = (entry: string): PolicyObject => cnp(`egress: [{ ${entry} }]`);
const fromPods = (peer: string): PolicyObject => networkPolicy(`ingress: [{ from: [${peer}] }]`);
const toPods = (peer: string): PolicyObject => networkPolicy(`policyTypes: [Egress], egress: [{ to: [${peer}] }]`);

/** The peers of every entry that allows, ingress before egress. */
const allPeers = (object: PolicyObject, given?: Given): (string | string[])[] =>
  rulesOf(object, given).flatMap(({ ingress, egress }) => [...ingress.allow, ...egress.allow].map(peersOf));

type PeerRow = [sentence: string, object: () => PolicyObject, want: string[], given?: Given];

describe('a peer of a CiliumNetworkPolicy', () => {
  test.each<PeerRow>([
    [
      'is looked for in the namespace of the policy',
      () => from('{ matchLabels: { app: b } }'),
      [labels('"any:app":"b"', NAMESPACE)],
    ],
    ['may be any pod of that namespace', () => from('{}'), [labels(NAMESPACE)]],
    [
      'may name another namespace',
      () => from('{ matchLabels: { "k8s:io.kubernetes.pod.namespace": x } }'),
      [labels('"k8s:io.kubernetes.pod.namespace":"x"')],
    ],
    [
      'may name another namespace without a source',
      () => from('{ matchExpressions: [{ key: io.kubernetes.pod.namespace, operator: Exists }] }'),
      ['{"matchExpressions":[{"key":"any:io.kubernetes.pod.namespace","operator":"Exists"}]}'],
    ],
    [
      'may name a label of namespaces',
      () => from('{ matchLabels: { "io.cilium.k8s.namespace.labels.team": a } }'),
      [labels('"any:io.cilium.k8s.namespace.labels.team":"a"')],
    ],
    ['may be something reserved', () => from('{ matchLabels: { "reserved:host": "" } }'), [reserved('host')], LOCAL],
    ['is in the local cluster, if the option says so', () => from('{}'), [labels(CLUSTER, NAMESPACE)], LOCAL],
    [
      'may name another cluster',
      () => from('{ matchLabels: { io.cilium.k8s.policy.cluster: c } }'),
      [labels('"any:io.cilium.k8s.policy.cluster":"c"', NAMESPACE)],
      LOCAL,
    ],
    [
      'may be an entity, which is not put into a cluster',
      () => to('toEntities: [host, all]'),
      [reserved('host'), '{}'],
      LOCAL,
    ],
    [
      'may be the world, in three forms',
      () => to('toEntities: [world]'),
      ['world', 'world-ipv4', 'world-ipv6'].map(reserved),
    ],
    [
      'may be the cluster: its pods by its name, and what has no name of its own',
      () => to('toEntities: [cluster]'),
      [
        ...['host', 'remote-node', 'init', 'ingress', 'health', 'unmanaged', 'kube-apiserver'].map(reserved),
        labels('"k8s:io.cilium.k8s.policy.cluster":"west"'),
      ],
      { config: { clusterName: 'west' } },
    ],
    [
      'may be a name, beside which stands the entity none',
      () => to('toFQDNs: [{ matchName: a.com }]'),
      [reserved('none'), 'a.com'],
    ],
  ])('%s', (_sentence, object, want, given) => expect(allPeers(object(), given)).toEqual([want]));
});

describe('a peer of a CiliumClusterwideNetworkPolicy', () => {
  test.each<PeerRow>([
    [
      'is a pod of any namespace',
      () => ccnp('endpointSelector: {}, ingress: [{ fromEndpoints: [{ matchLabels: { app: b } }] }]'),
      [`{"matchLabels":{"any:app":"b"},"matchExpressions":[${EXISTS}]}`],
    ],
    [
      'may have no labels at all, for subjects that have none yet',
      () => ccnp('endpointSelector: { matchLabels: { "reserved:init": "" } }, ingress: [{ fromEndpoints: [{}] }]'),
      ['{}'],
    ],
    [
      'of nodes is a pod of any namespace too',
      () => ccnp('nodeSelector: {}, ingress: [{ fromEndpoints: [{}] }]'),
      [`{"matchExpressions":[${EXISTS}]}`],
    ],
  ])('%s', (_sentence, object, want, given) => expect(allPeers(object(), given)).toEqual([want]));
});

describe('a prefix', () => {
  test.each<PeerRow>([
    ['is a label', () => to('toCIDR: [10.1.2.3/8]'), ['{"matchLabels":{"cidr:10.0.0.0/8":""}}']],
    ['an address is a prefix of its own', () => to('toCIDR: [10.1.2.3]'), ['{"matchLabels":{"cidr:10.1.2.3/32":""}}']],
    [
      'of IPv6 is a label without colons, and without dashes at the ends',
      () => to('toCIDR: ["2001:DB8::/32", "::1", "fd00::", "::/0"]'),
      ['2001-db8--0/32', '0--1/128', 'fd00--0/128', '0--0/0'].map((key) => `{"matchLabels":{"cidr:${key}":""}}`),
    ],
    [
      'that is everything is the world too',
      () => to('toCIDR: [0.0.0.0/0]'),
      ['{"matchLabels":{"cidr:0.0.0.0/0":""}}', reserved('world')],
    ],
    [
      'everything of IPv6 is the world only if there is IPv6 alone',
      () => to('toCIDR: ["::/0"]'),
      ['{"matchLabels":{"cidr:0--0/0":""}}', reserved('world')],
      IPV6_ONLY,
    ],
    [
      'everything of both families is every world',
      () => to('toCIDR: [0.0.0.0/0, "::/0"]'),
      [
        ...['{"matchLabels":{"cidr:0.0.0.0/0":""}}', '{"matchLabels":{"cidr:0--0/0":""}}'],
        ...['world', 'world-ipv4', 'world-ipv6'].map(reserved),
      ],
      DUAL,
    ],
    [
      'with exceptions is that label without those of the exceptions',
      () => to('toCIDRSet: [{ cidr: 10.0.0.0/8, except: [10.1.0.9/16, 10.2.0.0/16] }]'),
      [cidr('cidr:10.0.0.0/8', 'cidr:10.1.0.0/16', 'cidr:10.2.0.0/16')],
    ],
    [
      'that is everything but exceptions is the world but exceptions too',
      () => to('toCIDRSet: [{ cidr: 0.0.0.0/0, except: [10.0.0.0/8] }]'),
      [cidr('cidr:0.0.0.0/0', 'cidr:10.0.0.0/8'), cidr('reserved:world', 'cidr:10.0.0.0/8')],
    ],
    [
      'that is everything of one of two families is that world',
      () => to('toCIDRSet: [{ cidr: "::/0" }]'),
      [cidr('cidr:0--0/0'), cidr('reserved:world-ipv6')],
      DUAL,
    ],
    [
      'of a group is found by its name',
      () => to('toCIDRSet: [{ cidrGroupRef: g, except: [10.0.0.0/8] }]'),
      [cidr(group('g'), 'cidr:10.0.0.0/8')],
    ],
    [
      'of a group is found by its labels',
      () =>
        to(
          'toCIDRSet: [{ cidrGroupSelector: { matchLabels: { a: b }, matchExpressions: [{ key: c, operator: Exists }] } }]',
        ),
      ['{"matchLabels":{"cidrgroup:a":"b"},"matchExpressions":[{"key":"cidrgroup:c","operator":"Exists"}]}'],
    ],
    ['of every group, by an empty selector, is everybody', () => to('toCIDRSet: [{ cidrGroupSelector: {} }]'), ['{}']],
    [
      'of a group with an exception that is none is nobody',
      () => to('toCIDRSet: [{ cidrGroupRef: g, except: [zzz] }]'),
      [reserved('none')],
    ],
  ])('%s', (_sentence, object, want, given) => expect(allPeers(object(), given)).toEqual([want]));
});

const services = [
  { namespace: 'x', name: 'web', labels: { tier: 'front' }, selector: { app: 'web' }, backends: [] },
  { namespace: 'x', name: 'dotted', labels: {}, selector: { 'app.kubernetes.io/name': 'web' }, backends: [] },
  { namespace: 'y', name: 'old', labels: { tier: 'back' }, selector: {}, backends: ['10.9.0.1', 'fd00::9'] },
  { namespace: 'x', name: 'old', labels: {}, selector: undefined, backends: ['10.9.0.2'] },
];
const IN_X = '"k8s:io.kubernetes.pod.namespace":"x"';

describe('a service', () => {
  test.each<[...PeerRow]>([
    [
      'by name is the pods behind it, in its own namespace',
      () => to('toServices: [{ k8sService: { serviceName: web, namespace: x } }]'),
      [labels('"any:app":"web"', IN_X)],
    ],
    [
      'without a selector is its backends; without a namespace, of every namespace',
      () => to('toServices: [{ k8sService: { serviceName: old } }]'),
      ['10.9.0.1/32', 'fd00--9/128', '10.9.0.2/32'].map((key) => `{"matchLabels":{"cidr:${key}":""}}`),
    ],
    [
      'by labels',
      () =>
        to(
          'toServices: [{ k8sServiceSelector: { selector: { matchExpressions: [{ key: tier, operator: In, values: [front] }] } } }]',
        ),
      [labels('"any:app":"web"', IN_X, CLUSTER)],
      LOCAL,
    ],
    ['is not found by an empty selector', () => to('toServices: [{ k8sServiceSelector: { selector: {} } }]'), []],
    [
      'whose selector has a key with a dot selects no pods: what is before the dot counts as the source',
      () => to('toServices: [{ k8sService: { serviceName: dotted } }]'),
      [labels('"app:kubernetes.io/name":"web"', IN_X)],
    ],
  ])('%s', (_sentence, object, want, given) => {
    const [got] = allPeers(object(), { ...given, services });
    expect([...(got as string[])].sort()).toEqual([...want].map(sortedLabels).sort());
  });
  test('is no peer at all to an entry that denies', () => {
    const [rule] = rulesOf(cnp('egressDeny: [{ toServices: [{ k8sService: { serviceName: web } }] }]'), { services });
    expect(rule!.egress.deny.map(peersOf)).toEqual([[]]);
  });
});

/** Selectors list their labels by key. */
const sortedLabels = (text: string): string => {
  const { matchLabels } = JSON.parse(text) as { matchLabels: Record<string, string> };
  const bare = (key: string): string => key.replace(':', '.');
  const entries = Object.entries(matchLabels).sort(([a], [b]) => (bare(a) < bare(b) ? -1 : 1));
  return JSON.stringify({ matchLabels: Object.fromEntries(entries) });
};

describe('a peer of a NetworkPolicy', () => {
  const web = 'matchLabels: { app: web }, matchExpressions: [{ key: t, operator: In, values: [a] }]';
  const onT = '{"key":"k8s:t","operator":"In","values":["a"]}';
  test.each<[sentence: string, object: () => PolicyObject, want: string[][], given?: Given]>([
    [
      'is looked for in the namespace of the policy',
      () => fromPods(`{ podSelector: { ${web} } }`),
      [[`{"matchLabels":{"k8s:app":"web",${NAMESPACE}},"matchExpressions":[${onT}]}`]],
    ],
    [
      'in every namespace if the namespace selector is empty',
      () => toPods('{ namespaceSelector: {} }'),
      [[`{"matchExpressions":[${EXISTS}]}`]],
    ],
    [
      'by labels of its namespace and its own',
      () => fromPods(`{ podSelector: { matchLabels: { app: x } }, namespaceSelector: { ${web} } }`),
      [
        [
          '{"matchLabels":{"k8s:app":"x","k8s:io.cilium.k8s.namespace.labels.app":"web"},"matchExpressions":[' +
            '{"key":"k8s:io.cilium.k8s.namespace.labels.t","operator":"In","values":["a"]}]}',
        ],
      ],
    ],
    ['is everybody if there is no list', () => networkPolicy('ingress: [{}]'), [['{}']]],
    ['is everybody if the list is empty', () => networkPolicy('ingress: [{ from: [] }]'), [['{}']]],
    ['makes an entry of its own', () => fromPods('{ podSelector: {} }, {}'), [[labels(NAMESPACE)], []]],
    [
      'may be a block with exceptions',
      () => toPods('{ ipBlock: { cidr: 10.0.0.0/8, except: [10.1.0.0/16] } }'),
      [[cidr('cidr:10.0.0.0/8', 'cidr:10.1.0.0/16')]],
      LOCAL,
    ],
    [
      'is in the local cluster, if the option says so',
      () => fromPods('{ podSelector: {} }, { namespaceSelector: {} }'),
      [[labels(CLUSTER, NAMESPACE)], [`{"matchLabels":{${CLUSTER}},"matchExpressions":[${EXISTS}]}`]],
      LOCAL,
    ],
    [
      'may name another cluster',
      () => toPods('{ podSelector: { matchLabels: { io.cilium.k8s.policy.cluster: c } } }'),
      [[labels('"k8s:io.cilium.k8s.policy.cluster":"c"', NAMESPACE)]],
      LOCAL,
    ],
    [
      'that says nothing is the pods of the local cluster for ingress',
      () => fromPods('{}'),
      [[labels(CLUSTER, NAMESPACE)]],
      LOCAL,
    ],
    ['that says nothing is no peer for egress', () => toPods('{}'), [[]], LOCAL],
  ])('%s', (_sentence, object, want, given) => {
    const [rule] = rulesOf(object(), given);
    expect([...rule!.ingress.allow, ...rule!.egress.allow].map(peersOf)).toEqual(want);
  });
});

const enforced = ({ ingress, egress }: Rule): string =>
  Object.entries({ ingress, egress })
    .filter(([, side]) => side.allow.length + side.deny.length > 0 && side.defaultDeny)
    .map(([name]) => name)
    .join();

describe('default deny', () => {
  test.each<[sentence: string, object: () => PolicyObject, want: string, given?: Given]>([
    ['in the directions of which a rule speaks', () => cnp('egress: [{}]'), 'egress'],
    ['also if it only denies', () => cnp('ingressDeny: [{}], egress: [{}]'), 'ingress,egress'],
    [
      'not where a rule says no',
      () => cnp('ingress: [{}], egress: [{}], enableDefaultDeny: { ingress: false }'),
      'egress',
    ],
    [
      'not for a direction of which nothing is said',
      () => cnp('ingress: [{}], enableDefaultDeny: { egress: true }'),
      'ingress',
    ],
    [
      'wherever the rule says no, if the option is off',
      () => cnp('ingress: [{}], enableDefaultDeny: { ingress: false }'),
      'ingress',
      { config: { enableNonDefaultDenyPolicies: false } },
    ],
    ['by a NetworkPolicy that says nothing, for ingress', () => networkPolicy(''), 'ingress'],
    ['by one of type Egress, for egress', () => networkPolicy('policyTypes: [Egress]'), 'egress'],
    ['by one of both types, for both', () => networkPolicy('policyTypes: [Egress, Ingress]'), 'ingress,egress'],
    ['by one of a type that is none, for ingress', () => networkPolicy('policyTypes: [Foo]'), 'ingress'],
    ['by its egress rules, also without the type', () => networkPolicy('egress: [{}]'), 'ingress,egress'],
  ])('%s', (_sentence, object, want, given) => expect(enforced(rulesOf(object(), given)[0]!)).toBe(want));

  test('a NetworkPolicy without entries has one that lets nobody in', () => {
    expect(rulesOf(networkPolicy('ingress: []'))[0]!.ingress.allow).toMatchObject([
      { peers: { endpoints: [], others: [], fqdns: [] }, toPorts: [], origin: { position: { line: 4 } } },
    ]);
  });
});

describe('ports', () => {
  const ports = (text: string): PolicyObject => cnp(`ingress: [{ toPorts: [{ ports: [${text}] }] }]`);
  test.each<[sentence: string, object: () => PolicyObject, want: string[]]>([
    ['have protocol ANY if none is given', () => ports('{ port: "80" }'), ['80/ANY']],
    ['have protocols in any case', () => ports('{ port: "80", protocol: udp }'), ['80/UDP']],
    ['may have names, in small letters from here on', () => ports('{ port: HTTP, protocol: TCP }'), ['http/TCP']],
    ['may be ranges', () => ports('{ port: "80", endPort: 90 }'), ['80-90/ANY']],
    ['keep 16 bits of their end, which is not checked', () => ports('{ port: "80", endPort: 65626 }'), ['80-90/ANY']],
    [
      'of several port rules stay apart',
      () => cnp('ingress: [{ toPorts: [{ ports: [{ port: "1" }, { port: "2" }] }, {}] }]'),
      ['1/ANY 2/ANY', 'none'],
    ],
    [
      'of a rule that denies are ports alone',
      () => cnp('ingressDeny: [{ toPorts: [{ ports: [{ port: "1" }], rules: { http: [{}] } }] }]'),
      ['1/ANY'],
    ],
    [
      'of a NetworkPolicy are one rule each, TCP if nothing is given',
      () =>
        networkPolicy(
          'ingress: [{ ports: [{ port: 80 }, { port: web, protocol: SCTP }, { protocol: UDP, endPort: 70 }] }]',
        ),
      ['80/TCP', 'web/SCTP', '0-70/UDP'],
    ],
    [
      'may be types of ICMP, by number or name',
      () =>
        cnp(
          'ingress: [{ icmps: [{ fields: [{ type: 8 }, { type: "0" }, { type: TimeExceeded }, { family: IPv6, type: EchoRequest }] }] }]',
        ),
      ['8/ICMP 0/ICMP 11/ICMP 128/ICMPV6'],
    ],
    [
      'may be types of ICMP that do not exist: too large is the largest port, below 0 is 0',
      () => cnp('ingress: [{ icmps: [{ fields: [{ type: 256 }, { type: 70000 }, { type: -1 }] }] }]'),
      ['256/ICMP 65535/ICMP 0/ICMP'],
    ],
  ])('%s', (_sentence, object, want) => {
    const [{ ingress }] = rulesOf(object()) as [Rule];
    expect([...ingress.allow, ...ingress.deny].flatMap(portsOf)).toEqual(want);
  });
});

describe('a port rule', () => {
  const l7 = (rules: string): unknown =>
    rulesOf(to(`toPorts: [{ ports: [{ port: "53", protocol: TCP }], ${rules} }]`))[0]!.egress.allow[0]!.toPorts[0];
  const none = { http: [], kafka: [], dns: [], l7proto: '', l7: [] };
  test.each<[sentence: string, rules: string, want: object]>([
    ['without rules has none', 'rules: {}', { l7: undefined, serverNames: [], listener: undefined }],
    ['with an empty list of rules has none', 'rules: { http: [] }', { l7: undefined }],
    ['that only names a parser has that', 'rules: { l7proto: p }', { l7: { ...none, l7proto: 'p' } }],
    [
      'keeps rules as they are written',
      'rules: { dns: [{ matchName: A.com }] }',
      { l7: { ...none, dns: [{ matchName: 'A.com', matchPattern: '' }] } },
    ],
    ['may have server names', 'serverNames: [b, a]', { serverNames: ['b', 'a'] }],
    [
      'may have a listener',
      'listener: { envoyConfig: { kind: CiliumEnvoyConfig, name: e }, name: l, priority: 3 }',
      { listener: { envoyConfig: { kind: 'CiliumEnvoyConfig', name: 'e' }, name: 'l', priority: 3 } },
    ],
    [
      'may end TLS, with a secret by reference',
      'terminatingTLS: { secret: { name: s } }',
      { terminatingTLS: { secret: { namespace: '', name: 's' } } },
    ],
  ])('%s', (_sentence, rules, want) => expect(l7(rules)).toMatchObject(want));
});

test.each<[sentence: string, entry: string, want: string | undefined]>([
  ['is kept', 'ingress: [{ authentication: { mode: required } }]', 'required'],
  ['that is disabled is something said', 'ingress: [{ authentication: { mode: disabled } }]', 'disabled'],
  ['that is none is nothing said', 'ingress: [{ authentication: { mode: foo } }]', undefined],
])('an authentication mode %s', (_sentence, entry, want) => {
  expect(rulesOf(cnp(entry))[0]!.ingress.allow[0]!.authentication).toBe(want);
});

describe('a rule', () => {
  const labelsOf = (object: PolicyObject): string[] => rulesOf(object)[0]!.labels.toStrings();
  test('carries the labels that are derived from its policy, and its own', () => {
    expect(labelsOf(cnp('ingress: [{}], labels: [{ key: a, value: b, source: k8s }]'))).toEqual([
      'k8s:a=b',
      'k8s:io.cilium.k8s.policy.derived-from=CiliumNetworkPolicy',
      'k8s:io.cilium.k8s.policy.name=p',
      'k8s:io.cilium.k8s.policy.namespace=default',
      'k8s:io.cilium.k8s.policy.uid',
    ]);
  });
  test('of a clusterwide policy carries no namespace', () => {
    expect(labelsOf(ccnp('endpointSelector: {}, ingress: [{}]'))).toEqual([
      'k8s:io.cilium.k8s.policy.derived-from=CiliumClusterwideNetworkPolicy',
      'k8s:io.cilium.k8s.policy.name=p',
      'k8s:io.cilium.k8s.policy.uid',
    ]);
  });
  test('of a NetworkPolicy carries the name that an annotation gives it', () => {
    const metadata = '{ name: p, namespace: default, annotations: { policy.cilium.io/name: other } }';
    expect(labelsOf(networkPolicy('', metadata))).toContain('k8s:io.cilium.k8s.policy.name=other');
  });
  test('keeps description and log', () => {
    const [rule] = rulesOf(cnp('ingress: [{}], description: why, log: { value: trace }'));
    expect(rule).toMatchObject({ description: 'why', log: 'trace' });
  });
  test('knows whether it is about nodes', () => {
    const [pods] = rulesOf(ccnp('endpointSelector: {}, ingress: [{}]'));
    const [nodes] = rulesOf(ccnp('nodeSelector: { matchLabels: { a: b } }, ingress: [{}]'));
    expect([pods, nodes].map((rule) => [rule!.selectsNodes, rule!.subject.key])).toEqual([
      [false, '{}'],
      [true, '{"matchLabels":{"any:a":"b"}}'],
    ]);
  });
  test('comes from each spec, spec before specs, and each of its entries knows its place', () => {
    const rules = rulesOf(
      cnpOf(
        'spec: { endpointSelector: {}, ingress: [{}] }\nspecs:\n- endpointSelector: {}\n  egressDeny: [{},\n    {}]',
      ),
    );
    expect(rules.map(({ specIndex, position }) => [specIndex, position.line])).toEqual([
      [0, 4],
      [1, 6],
    ]);
    expect(rules[1]!.egress.deny[1]!.origin).toEqual({
      kind: 'CiliumNetworkPolicy',
      namespace: 'default',
      name: 'p',
      specIndex: 1,
      list: 'egressDeny',
      ruleIndex: 1,
      position: { file: 'p.yaml', line: 8, column: 5 },
    });
  });
});
