import type { PolicyObject } from '@ciliate/k8s';
import { Labels } from '@ciliate/labels';
import { describe, expect, test } from 'vitest';
import { prefixesOf } from '../src/api/cidr.ts';
import type { PeerRule, Rule } from '../src/api/rule.ts';
import { ccnp, cnp, cnpOf, type Given, networkPolicy, peersOf, portsOf, refusalOf, rulesOf } from './objects.ts';

// What people get wrong about Cilium's policy language, as far as checking and translating decide it. What a `PeerRule`
// then does is said at its type (src/api/rule.ts) and shown in resolve.test.ts.

const EVERYBODY: string[] = [];
const PORTS = 'toPorts: [{ ports: [{ port: "80", protocol: TCP }] }]';
const first = (object: PolicyObject, given?: Given): PeerRule => {
  const [{ ingress, egress }] = rulesOf(object, given) as [Rule];
  return [...ingress.allow, ...ingress.deny, ...egress.allow, ...egress.deny][0]!;
};
const peers = (object: PolicyObject, given?: Given): string | string[] => peersOf(first(object, given));
const ports = (entry: string): string[] => portsOf(first(cnp(`ingress: [{ ${entry} }]`)));
const egress = (entry: string): PolicyObject => cnp(`egress: [{ ${entry} }]`);
const accepted = (object: PolicyObject): boolean => rulesOf(object).length > 0;
const refused = (object: PolicyObject, given?: Given): string => refusalOf(object, given).context.path;
const path = (regex: string): PolicyObject => httpRule(`{ path: "${regex}" }`);
const httpRule = (rule: string, protocol = 'protocol: TCP'): PolicyObject =>
  cnp(`ingress: [{ toPorts: [{ ports: [{ port: "80", ${protocol} }], rules: { http: [${rule}] } }] }]`);
const foreignSubject = (key: string): string => {
  const spec = `{ endpointSelector: { matchLabels: { "${key}": x } }, ingress: [{}] }`;
  return rulesOf(cnpOf(`spec: ${spec}`))[0]!.subject.key;
};
const NAMESPACE = '"k8s:io.kubernetes.pod.namespace":"default"';
const inNamespace = `{"matchLabels":{${NAMESPACE}}}`;

describe.each<[number: number, rows: [sentence: string, got: () => unknown, want: unknown][]]>([
  [
    1,
    [
      [
        'toServices that matches no service names no peers: with ports it is open to everybody',
        () => peers(egress(`toServices: [{ k8sService: { serviceName: nosuch } }], ${PORTS}`)),
        EVERYBODY,
      ],
      ['so does fromRequires alone', () => peers(cnp(`ingress: [{ fromRequires: [{}], ${PORTS} }]`)), EVERYBODY],
      [
        'so does an empty peer of a NetworkPolicy',
        () => peers(networkPolicy('ingress: [{ from: [{}], ports: [{ port: 80 }] }]')),
        EVERYBODY,
      ],
    ],
  ],
  [
    2,
    [
      [
        'an empty list of peers is nobody, also with ports',
        () => peers(cnp(`ingress: [{ fromEndpoints: [], ${PORTS} }]`)),
        'nobody',
      ],
      ['also of prefixes', () => peers(egress('toCIDR: []')), 'nobody'],
      ['also of prefixes with exceptions', () => peers(egress('toCIDRSet: []')), 'nobody'],
      ['also of entities', () => peers(egress('toEntities: []')), 'nobody'],
      ['also of nodes', () => peers(egress('toNodes: []')), 'nobody'],
      ['not of names', () => peers(egress('toFQDNs: []')), EVERYBODY],
      ['not of services', () => peers(egress('toServices: []')), EVERYBODY],
      ['not of requirements', () => peers(egress('toRequires: []')), EVERYBODY],
      [
        'names make up for an empty list of prefixes',
        () => peers(egress('toCIDR: [], toFQDNs: [{ matchName: a }]')),
        ['{"matchLabels":{"reserved:none":""}}', 'a'],
      ],
      ['but not for one of endpoints', () => peers(egress('toEndpoints: [], toFQDNs: [{ matchName: a }]')), 'nobody'],
      ['an empty toPorts counts as absent', () => ports('toPorts: []'), []],
      ['a port rule without ports is one that allows nothing', () => ports('toPorts: [{ ports: [] }]'), ['none']],
    ],
  ],
  [
    3,
    [
      ['a peer is looked for in the namespace of the policy', () => peers(egress('toEndpoints: [{}]')), [inNamespace]],
      [
        'not if it names labels of namespaces',
        () => peers(egress('toEndpoints: [{ matchLabels: { "k8s:io.cilium.k8s.namespace.labels.a": b } }]')),
        ['{"matchLabels":{"k8s:io.cilium.k8s.namespace.labels.a":"b"}}'],
      ],
      [
        'not if any of its keys is reserved',
        () => peers(egress('toEndpoints: [{ matchLabels: { a: b, "reserved:x": "" } }]')),
        ['{"matchLabels":{"any:a":"b","reserved:x":""}}'],
      ],
      [
        'a requirement is, even then',
        () => first(egress('toRequires: [{ matchLabels: { "reserved:x": "" } }]')).requires.map(({ key }) => key),
        [`{"matchLabels":{${NAMESPACE},"reserved:x":""}}`],
      ],
      [
        'a peer of a clusterwide policy must have a namespace, whatever it is',
        () => peers(ccnp('endpointSelector: {}, egress: [{ toEndpoints: [{}] }]')),
        ['{"matchExpressions":[{"key":"k8s:io.kubernetes.pod.namespace","operator":"Exists"}]}'],
      ],
      [
        'also if it names labels of namespaces',
        () =>
          peers(
            ccnp(
              'endpointSelector: {}, egress: [{ toEndpoints: [{ matchLabels: { "k8s:io.cilium.k8s.namespace.labels.a": b } }] }]',
            ),
          ),
        [
          '{"matchLabels":{"k8s:io.cilium.k8s.namespace.labels.a":"b"},"matchExpressions":[{"key":"k8s:io.kubernetes.pod.namespace","operator":"Exists"}]}',
        ],
      ],
      [
        'but not for a subject that is reserved:init',
        () =>
          peers(ccnp('endpointSelector: { matchLabels: { "reserved:init": "" } }, egress: [{ toEndpoints: [{}] }]')),
        ['{}'],
      ],
    ],
  ],
  [
    4,
    [
      [
        'a subject in another k8s: namespace is silently put into its own',
        () => foreignSubject('k8s:io.kubernetes.pod.namespace'),
        inNamespace,
      ],
      [
        'without a source both must hold, so that it selects nothing',
        () => foreignSubject('io.kubernetes.pod.namespace'),
        `{"matchLabels":{"any:io.kubernetes.pod.namespace":"x",${NAMESPACE}}}`,
      ],
    ],
  ],
  [
    6,
    [
      [
        'ingress rules of a NetworkPolicy count even if it is of type Egress alone',
        () =>
          rulesOf(networkPolicy('policyTypes: [Egress], ingress: [{}]')).map((rule) => [
            rule.ingress.defaultDeny,
            rule.ingress.allow.map(peersOf),
          ]),
        [[true, [['{}']]]],
      ],
    ],
  ],
  [
    7,
    [
      [
        'for ingress, ipBlock is refused if selectors mean the local cluster',
        () =>
          refused(networkPolicy('ingress: [{ from: [{ ipBlock: { cidr: 10.0.0.0/8 } }] }]'), {
            config: { policyDefaultLocalCluster: true },
          }),
        'spec.ingress[0].from[0]',
      ],
      [
        'for egress it is not',
        () =>
          peers(networkPolicy('policyTypes: [Egress], egress: [{ to: [{ ipBlock: { cidr: 10.0.0.0/8 } }] }]'), {
            config: { policyDefaultLocalCluster: true },
          }),
        ['{"matchExpressions":[{"key":"cidr:10.0.0.0/8","operator":"Exists"}]}'],
      ],
    ],
  ],
  [
    8,
    [
      [
        'what requirements restrict is kept apart from what they do not',
        () => first(cnp('ingress: [{ fromRequires: [{}], fromEndpoints: [{}] }]')).peers,
        { endpoints: [expect.anything()], others: [], fqdns: [] },
      ],
      [
        'prefixes are of the others',
        () => first(egress('toRequires: [{}], toCIDR: [10.0.0.0/8]')).peers?.endpoints,
        [],
      ],
      ['entities too', () => first(egress('toRequires: [{}], toEntities: [cluster]')).peers?.endpoints, []],
    ],
  ],
  [
    9,
    [
      [
        'port 0 of ANY stays one entry, for the protocols that have ports',
        () => ports('toPorts: [{ ports: [{ port: "0" }] }]'),
        ['0/ANY'],
      ],
      [
        'DNS rules may be for SCTP',
        () => accepted(egress('toPorts: [{ ports: [{ port: "53", protocol: SCTP }], rules: { dns: [{}] } }]')),
        true,
      ],
    ],
  ],
  [
    10,
    [
      [
        'ICMP type 0 is port 0 of ICMP, which is every type',
        () => ports('icmps: [{ fields: [{ type: EchoReply }] }]'),
        ['0/ICMP'],
      ],
    ],
  ],
  [
    11,
    [
      [
        'a range that ends below its port is accepted',
        () => ports('toPorts: [{ ports: [{ port: "80", endPort: 70 }] }]'),
        ['80-70/ANY'],
      ],
      ['a range may begin at 0', () => ports('toPorts: [{ ports: [{ port: "0", endPort: 9 }] }]'), ['0-9/ANY']],
      ['and at a name', () => ports('toPorts: [{ ports: [{ port: web, endPort: 9 }] }]'), ['web-9/ANY']],
    ],
  ],
  [
    14,
    [
      [
        'prefixes and exceptions alike get identities',
        () =>
          prefixesOf(
            rulesOf(
              cnp(
                'ingress: [{ fromCIDRSet: [{ cidr: 10.0.0.0/8, except: [10.1.2.3/16] }] }], egressDeny: [{ toCIDR: [10.1.0.9, "FD00::1/8", 10.0.0.1/8] }]',
              ),
            ),
          ),
        ['10.0.0.0/8', '10.1.0.0/16', '10.1.0.9/32', 'fd00::/8'],
      ],
      [
        'so do exceptions of groups, and backends of services',
        () =>
          prefixesOf(
            rulesOf(
              egress(
                'toCIDRSet: [{ cidrGroupRef: g, except: [10.1.0.0/16] }] }, { toServices: [{ k8sService: { serviceName: s } }]',
              ),
              {
                services: [
                  { namespace: 'default', name: 's', labels: {}, selector: {}, backends: ['10.9.0.1', 'fd00::9'] },
                ],
              },
            ),
          ),
        ['10.1.0.0/16', '10.9.0.1/32', 'fd00::9/128'],
      ],
      [
        'a label of a prefix in a selector names none',
        () => prefixesOf(rulesOf(egress('toEndpoints: [{ matchLabels: { "cidr:10.0.0.0/8": "" } }]'))),
        [],
      ],
    ],
  ],
  [
    16,
    [
      [
        'everything is a prefix and the world at once',
        () => [
          peers(egress('toCIDR: ["::/0"]'), { config: { enableIPv6: true } }),
          prefixesOf(rulesOf(egress('toCIDR: ["::/0"]'))),
        ],
        [['{"matchLabels":{"cidr:0--0/0":""}}', '{"matchLabels":{"reserved:world-ipv6":""}}'], ['::/0']],
      ],
      [
        'but only if it is written so',
        () => peers(egress('toCIDR: [1.2.3.4/0]')),
        ['{"matchLabels":{"cidr:0.0.0.0/0":""}}'],
      ],
      [
        'which a set with exceptions does not ask for',
        () => peers(egress('toCIDRSet: [{ cidr: 1.2.3.4/0 }]')),
        ['cidr:0.0.0.0/0', 'reserved:world'].map(
          (key) => `{"matchExpressions":[{"key":"${key}","operator":"Exists"}]}`,
        ),
      ],
    ],
  ],
  [
    17,
    [
      [
        'the API server is a remote node too, so that both entities select identity 7',
        () =>
          ['kube-apiserver', 'remote-node'].map((entity) =>
            first(egress(`toEntities: [${entity}]`)).peers!.others[0]!.matches(
              Labels.parse(['reserved:kube-apiserver', 'reserved:remote-node']),
            ),
          ),
        [true, true],
      ],
    ],
  ],
  [
    18,
    [
      [
        'a rule that only denies asks for default deny',
        () => rulesOf(cnp('egressDeny: [{}]'))[0]!.egress.defaultDeny,
        true,
      ],
    ],
  ],
  [
    25,
    [
      [
        'a clusterwide policy may name a listener in a namespace: only the subject decides whether there is one',
        () =>
          accepted(
            ccnp(
              'endpointSelector: {}, egress: [{ toPorts: [{ ports: [{ port: "80" }], listener: { envoyConfig: { kind: CiliumEnvoyConfig, name: e }, name: l } }] }]',
            ),
          ),
        true,
      ],
    ],
  ],
  [
    27,
    [
      ['the host of HTTP rules is not looked at', () => accepted(httpRule('{ host: "[" }')), true],
      ['the path is', () => refused(path('[')), 'spec.ingress[0].toPorts[0].rules.http[0].path'],
      ['the method is', () => refused(httpRule('{ method: "[" }')), 'spec.ingress[0].toPorts[0].rules.http[0].method'],
      ['in the syntax of RE2', () => refused(path('(?!a)')), 'spec.ingress[0].toPorts[0].rules.http[0].path'],
      [
        'L7 rules need TCP; ANY will not do',
        () => refused(httpRule('{}', '')),
        'spec.ingress[0].toPorts[0].ports[0].protocol',
      ],
      ['an empty list of HTTP rules is no L7 rule', () => accepted(httpRule('', 'protocol: UDP')), true],
      ['an address is a prefix in fromCIDR', () => accepted(cnp('ingress: [{ fromCIDR: [10.0.0.1] }]')), true],
      [
        'but not in a set',
        () => refused(cnp('ingress: [{ fromCIDRSet: [{ cidr: 10.0.0.1 }] }]')),
        'spec.ingress[0].fromCIDRSet[0].cidr',
      ],
      [
        'nor as an exception',
        () => refused(egress('toCIDRSet: [{ cidr: 10.0.0.0/8, except: [10.0.0.1] }]')),
        'spec.egress[0].toCIDRSet[0].except[0]',
      ],
      [
        'of an exception only the address must lie in the prefix',
        () => accepted(egress('toCIDRSet: [{ cidr: 10.0.0.0/8, except: [10.0.0.0/2] }]')),
        true,
      ],
      ['0x50 is a port name', () => ports('toPorts: [{ ports: [{ port: "0x50" }] }]'), ['0x50/ANY']],
      ['010 is port 8', () => ports('toPorts: [{ ports: [{ port: "010" }] }]'), ['8/ANY']],
      [
        'an authentication mode may be any word',
        () => accepted(cnp('ingress: [{ authentication: { mode: foo } }]')),
        true,
      ],
      [
        'an end of a range may be above 65535',
        () => accepted(cnp('ingress: [{ toPorts: [{ ports: [{ port: "1", endPort: 70000 }] }] }]')),
        true,
      ],
      [
        'the entity world-ipv4 is known',
        () => peers(egress('toEntities: [world-ipv4]')),
        ['{"matchLabels":{"reserved:world-ipv4":""}}'],
      ],
    ],
  ],
])('surprise %i', (_number, rows) => {
  test.each(rows)('%s', (_sentence, got, want) => expect(got()).toEqual(want));
});
