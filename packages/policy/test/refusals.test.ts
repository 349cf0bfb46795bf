import type { PolicyObject } from '@ciliate/k8s';
import { describe, expect, test } from 'vitest';
import { NotModelledError } from '../src/errors.ts';
import { PolicyRepository } from '../src/repository.ts';
import { ccnp, cnp, cnpOf, networkPolicy, refusalOf, rulesOf } from './objects.ts';

const http = (rule: string): PolicyObject =>
  cnp(`ingress: [{ toPorts: [{ ports: [{ port: "80", protocol: TCP }], rules: { http: [${rule}] } }] }]`);
const port = (fields: string): PolicyObject => cnp(`ingress: [{ toPorts: [{ ports: [{ ${fields} }] }] }]`);
const egress = (entry: string): PolicyObject => cnp(`egress: [{ ${entry} }]`);
const peer = (selector: string): PolicyObject => cnp(`ingress: [{ fromEndpoints: [{ ${selector} }] }]`);
const rules = (text: string, ports = '{ port: "53", protocol: TCP }'): PolicyObject =>
  egress(`toPorts: [{ ports: [${ports}], rules: { ${text} } }]`);
const many = (entry: (index: number) => string, count: number): string =>
  Array.from({ length: count }, (_, index) => entry(index)).join(', ');

const PORT = 'spec.ingress[0].toPorts[0].ports[0]';
const PEER = 'spec.ingress[0].fromEndpoints[0]';
const HTTP = 'spec.ingress[0].toPorts[0].rules.http[0]';
const RULES = 'spec.egress[0].toPorts[0].rules';

/** The message is the field's path and what is wrong; the position in front of it is looked at further below. */
const refused: [sentence: string, object: () => PolicyObject, path: string, problem: string][] = [
  ['neither spec nor specs', () => cnpOf('status: {}'), 'spec', 'a CiliumNetworkPolicy must have a spec or specs'],
  [
    'a rule without entries',
    () => cnp('description: nothing'),
    'spec',
    'a rule must have an entry in ingress, ingressDeny, egress or egressDeny',
  ],
  [
    'a rule without a subject',
    () => cnpOf('spec: { ingress: [{}] }'),
    'spec',
    'a rule must have an endpointSelector or a nodeSelector',
  ],
  [
    'a rule about endpoints and nodes',
    () => ccnp('endpointSelector: {}, nodeSelector: {}, ingress: [{}]'),
    'spec',
    'a rule cannot have both endpointSelector and nodeSelector',
  ],
  [
    'nodes in a namespace',
    () => cnpOf('spec: { nodeSelector: {}, ingress: [{}] }'),
    'spec.nodeSelector',
    'a CiliumNetworkPolicy cannot select nodes: nodes belong to no namespace: write a CiliumClusterwideNetworkPolicy',
  ],
  [
    'the second of two specs',
    () => cnpOf('specs: [{ endpointSelector: {}, ingress: [{}] }, { endpointSelector: {} }]'),
    'specs[1]',
    'a rule must have an entry in ingress, ingressDeny, egress or egressDeny',
  ],
  [
    'two kinds of peers in one entry',
    () => cnp('ingress: [{}, { fromEndpoints: [{}], fromEntities: [host] }]'),
    'spec.ingress[1]',
    'fromEndpoints and fromEntities cannot stand in one entry: write one entry for each',
  ],
  [
    'services beside prefixes that the user wrote',
    () => egress('toServices: [{ k8sService: { serviceName: s } }], toCIDRSet: [{ cidr: 10.0.0.0/8 }]'),
    'spec.egress[0]',
    'toCIDRSet and toServices cannot stand in one entry: write one entry for each',
  ],
  [
    'names beside entities',
    () => egress('toEntities: [world], toFQDNs: [{ matchName: a.com }]'),
    'spec.egress[0]',
    'toEntities and toFQDNs cannot stand in one entry: write one entry for each',
  ],
  [
    'peers that are nodes',
    () => cnp('ingress: [{ fromNodes: [{}] }]'),
    'spec.ingress[0].fromNodes',
    'peers that are nodes need the option enable-node-selector-labels, which is off',
  ],
  [
    'an entity with a typing error, saying which was meant',
    () => cnp('ingress: [{ fromEntities: [all, clustr] }]'),
    'spec.ingress[0].fromEntities[1]',
    'unknown entity "clustr", did you mean "cluster"?',
  ],
  [
    'a word that is near no entity, saying which there are',
    () => egress('toEntities: [internet]'),
    'spec.egress[0].toEntities[0]',
    'unknown entity "internet", expected all, cluster, health, host, ingress, init, kube-apiserver, none, ' +
      'remote-node, unmanaged, world, world-ipv4 or world-ipv6',
  ],
  [
    'types of ICMP beside ports',
    () => cnp('ingress: [{ icmps: [{ fields: [{ type: 8 }] }], toPorts: [{ ports: [{ port: "80" }] }] }]'),
    'spec.ingress[0].icmps',
    'icmps and toPorts cannot stand in one entry: write one entry for each',
  ],
  [
    'more than 40 types of ICMP',
    () => cnp(`egressDeny: [{ icmps: [{ fields: [${many((type) => `{ type: ${type} }`, 41)}] }] }]`),
    'spec.egressDeny[0].icmps[0].fields',
    '41 types are too many, at most 40',
  ],
  [
    'a family that is none',
    () => cnp('ingress: [{ icmps: [{ fields: [{ family: ipv6, type: 128 }] }] }]'),
    'spec.ingress[0].icmps[0].fields[0].family',
    'unknown family "ipv6", did you mean "IPv6"?',
  ],

  ['a port above 65535', () => port('port: "65536"'), `${PORT}.port`, '"65536" is not a port number (0..65535)'],
  ['an octal port with a digit 9', () => port('port: "09"'), `${PORT}.port`, '"09" is not a port number (0..65535)'],
  ['an empty port', () => port('port: ""'), `${PORT}.port`, 'a port must be given'],
  ['a space before a port', () => port('port: " 80"'), `${PORT}.port`, '" 80" is not a port, did you mean "80"?'],
  [
    'a range written as text',
    () => port('port: "80-90"'),
    `${PORT}.port`,
    '"80-90" is not a port, did you mean port "80" with endPort 90?',
  ],
  [
    'a port name of 16 letters',
    () => port('port: abcdefghijklmnop'),
    `${PORT}.port`,
    '"abcdefghijklmnop" is neither a port number (0..65535) nor the name of a port (at most 15 letters, digits and ' +
      'single inner dashes, at least one of them a letter)',
  ],
  [
    'a protocol with a typing error',
    () => port('port: "80", protocol: TPC'),
    `${PORT}.protocol`,
    'unknown protocol "TPC", did you mean "TCP"?',
  ],
  [
    'ICMP as the protocol of a port',
    () => port('port: "0", protocol: ICMP'),
    `${PORT}.protocol`,
    'ICMP has no ports: write its types under "icmps", without toPorts',
  ],
  [
    'more than 40 ports',
    () => cnp(`egressDeny: [{ toPorts: [{ ports: [${many((index) => `{ port: "${index + 1}" }`, 41)}] }] }]`),
    'spec.egressDeny[0].toPorts[0].ports',
    '41 ports are too many, at most 40',
  ],

  [
    'HTTP over any protocol',
    () => cnp('ingress: [{ toPorts: [{ ports: [{ port: "80" }], rules: { http: [{}] } }] }]'),
    `${PORT}.protocol`,
    'L7 rules need protocol TCP, this port says ANY; only DNS rules may have others',
  ],
  [
    'HTTP on port 0',
    () => cnp('ingress: [{ toPorts: [{ ports: [{ port: "0", protocol: TCP }], rules: { http: [{}] } }] }]'),
    `${PORT}.port`,
    'L7 rules cannot be used with port 0',
  ],
  [
    'a path that is no regular expression',
    () => http('{ path: "/[a" }'),
    `${HTTP}.path`,
    '"/[a" is not a regular expression (RE2): ',
  ],
  ['a lookahead', () => http('{ method: "G(?=E)" }'), `${HTTP}.method`, '"G(?=E)" is not a regular expression (RE2): '],
  [
    'a backreference',
    () => http('{ path: "(a)\\\\1" }'),
    `${HTTP}.path`,
    '"(a)\\\\1" is not a regular expression (RE2): ',
  ],
  ['a possessive repeat', () => http('{ path: a*+ }'), `${HTTP}.path`, '"a*+" is not a regular expression (RE2): '],
  [
    'more than 1000 repeats, also by nesting',
    () => http('{ path: "(a{100}){11}" }'),
    `${HTTP}.path`,
    '"(a{100}){11}" is not a regular expression (RE2): ',
  ],
  [
    'a header match without a name',
    () => http('{ headerMatches: [{ value: x }] }'),
    `${HTTP}.headerMatches[0].name`,
    'the name of the header is missing',
  ],
  [
    'an action that is none',
    () => http('{ headerMatches: [{ name: X, mismatch: REPLCE }] }'),
    `${HTTP}.headerMatches[0].mismatch`,
    'unknown action "REPLCE", did you mean "REPLACE"?',
  ],
  [
    'a secret without a name',
    () => http('{ headerMatches: [{ name: X, secret: { namespace: ns } }] }'),
    `${HTTP}.headerMatches[0].secret.name`,
    'the name of the secret is missing',
  ],
  [
    'a Kafka role beside a key',
    () => rules('kafka: [{ role: produce, apiKey: fetch }]'),
    `${RULES}.kafka[0]`,
    'role and apiKey cannot stand in one rule: a role names its keys itself',
  ],
  [
    'a Kafka request with a typing error',
    () => rules('kafka: [{ apiKey: ftech }]'),
    `${RULES}.kafka[0].apiKey`,
    'unknown Kafka request "ftech", did you mean "fetch"?',
  ],
  [
    'a Kafka version that is too large',
    () => rules('kafka: [{ apiVersion: "32768" }]'),
    `${RULES}.kafka[0].apiVersion`,
    '"32768" is not a version (a number 0..32767 in text)',
  ],
  [
    'a topic of 256 bytes',
    () => rules(`kafka: [{ topic: ${'t'.repeat(256)} }]`),
    `${RULES}.kafka[0].topic`,
    'the name is longer than 255 bytes',
  ],
  [
    'rules of two parsers, one of them an empty list',
    () => rules('http: [], kafka: [{ topic: t }]'),
    RULES,
    'http and kafka cannot stand in one entry: write one entry for each',
  ],
  [
    'l7 rules for no parser',
    () => rules('l7: [{ a: b }]'),
    `${RULES}.l7`,
    'l7 rules need l7proto: the parser that they are for',
  ],
  ['an l7 rule with an empty key', () => rules('l7proto: p, l7: [{ "": b }]'), `${RULES}.l7[0]`, 'a key is empty'],
  [
    'DNS rules without ports',
    () => rules('dns: [{}]', ''),
    `${RULES}.dns`,
    'DNS rules need ports, usually 53 of protocol ANY',
  ],
  [
    'DNS rules with a range of ports',
    () => rules('dns: [{}]', '{ port: "53", endPort: 54 }'),
    'spec.egress[0].toPorts[0].ports[0].endPort',
    'DNS rules cannot have port ranges',
  ],
  [
    'DNS rules for ingress',
    () => cnp('ingress: [{ toPorts: [{ ports: [{ port: "53" }], rules: { dns: [{}] } }] }]'),
    'spec.ingress[0].toPorts[0].rules.dns',
    'Cilium has DNS rules only for egress',
  ],
  [
    'L7 rules for ingress of nodes',
    () =>
      ccnp(
        'nodeSelector: {}, ingress: [{ toPorts: [{ ports: [{ port: "80", protocol: TCP }], rules: { http: [{}] } }] }]',
      ),
    'spec.ingress[0].toPorts[0].rules',
    'Cilium has no L7 rules for ingress of nodes',
  ],
  [
    'HTTP rules for egress of nodes',
    () =>
      ccnp(
        'nodeSelector: {}, egress: [{ toPorts: [{ ports: [{ port: "80", protocol: TCP }], rules: { http: [{}] } }] }]',
      ),
    'spec.egress[0].toPorts[0].rules.http',
    'Cilium has only DNS rules for egress of nodes',
  ],
  [
    'a listener for ingress',
    () => cnp('ingress: [{ toPorts: [{ ports: [{ port: "80" }], listener: { name: l } }] }]'),
    'spec.ingress[0].toPorts[0].listener',
    'Cilium has listeners only for egress',
  ],
  [
    'a listener beside L7 rules',
    () => egress('toPorts: [{ ports: [{ port: "80", protocol: TCP }], listener: { name: l }, rules: { http: [{}] } }]'),
    'spec.egress[0].toPorts[0].listener',
    'a listener and L7 rules cannot stand in one entry: the listener has rules of its own',
  ],
  [
    'server names beside L7 rules',
    () => egress('toPorts: [{ ports: [{ port: "443", protocol: TCP }], serverNames: [a], rules: { http: [{}] } }]'),
    'spec.egress[0].toPorts[0].serverNames',
    'serverNames and L7 rules cannot stand in one entry: ',
  ],
  [
    'an empty server name',
    () => egress('toPorts: [{ ports: [{ port: "443" }], serverNames: [a, ""] }]'),
    'spec.egress[0].toPorts[0].serverNames[1]',
    'the name is empty',
  ],

  [
    'a name with a star, which is a pattern',
    () => egress('toFQDNs: [{ matchName: "*.a.com" }]'),
    'spec.egress[0].toFQDNs[0].matchName',
    '"*.a.com" is not a DNS name: it may only have letters, digits, "-", "_" and ".", did you mean matchPattern?',
  ],
  [
    'a pattern that is a regular expression',
    () => egress('toFQDNs: [{ matchPattern: "a+.com" }]'),
    'spec.egress[0].toFQDNs[0].matchPattern',
    '"a+.com" is not a pattern of DNS names: it may only have letters, digits, "-", "_", "." and "*"',
  ],
  [
    'a name and a pattern in one entry',
    () => egress('toFQDNs: [{ matchName: a.com, matchPattern: b.com }]'),
    'spec.egress[0].toFQDNs[0]',
    'matchName and matchPattern cannot stand in one entry: write two entries',
  ],

  [
    'no prefix at all',
    () => cnp('ingress: [{ fromCIDR: [10.0.0.0/8, ten] }]'),
    'spec.ingress[0].fromCIDR[1]',
    '"ten" is neither a prefix like 10.0.0.0/8 or fd00::/8 nor an address',
  ],
  [
    'an address where only prefixes are known',
    () => egress('toCIDRSet: [{ cidr: fd00::1 }]'),
    'spec.egress[0].toCIDRSet[0].cidr',
    '"fd00::1" is not a prefix like 10.0.0.0/8 or fd00::/8, did you mean "fd00::1/128"?',
  ],
  [
    'an exception outside of its prefix',
    () => egress('toCIDRSet: [{ cidr: 10.0.0.0/8, except: [10.1.0.0/16, 11.0.0.0/16] }]'),
    'spec.egress[0].toCIDRSet[0].except[1]',
    '11.0.0.0/16 does not lie in 10.0.0.0/8',
  ],
  [
    'a prefix and a group in one entry',
    () => egress('toCIDRSet: [{ cidr: 10.0.0.0/8, cidrGroupRef: g }]'),
    'spec.egress[0].toCIDRSet[0]',
    'only one of cidr, cidrGroupRef and cidrGroupSelector may be given',
  ],
  [
    'neither a prefix nor a group',
    () => egress('toCIDRSet: [{ except: [10.0.0.0/8] }]'),
    'spec.egress[0].toCIDRSet[0]',
    'one of cidr, cidrGroupRef and cidrGroupSelector must be given',
  ],
  [
    'a bad selector of groups',
    () => egress('toCIDRSet: [{ cidrGroupSelector: { matchLabels: { a: "b c" } } }]'),
    'spec.egress[0].toCIDRSet[0].cidrGroupSelector.matchLabels.a',
    '"b c" is not a label value: ',
  ],

  [
    'a key with a space',
    () => peer('matchLabels: { "a b": x }'),
    `${PEER}.matchLabels["a b"]`,
    '"a b" is not a label key: it must',
  ],
  [
    'a key with two slashes',
    () => peer('matchLabels: { a/b/c: x }'),
    `${PEER}.matchLabels["a/b/c"]`,
    '"a/b/c" is not a label key: more than one "/"',
  ],
  [
    'a key with a bad prefix',
    () => peer('matchLabels: { A_/b: x }'),
    `${PEER}.matchLabels["A_/b"]`,
    '"A_/b" is not a label key: what is before "/"',
  ],
  [
    'a key that is too long with its source',
    () => peer(`matchLabels: { ${'a'.repeat(60)}: x }`),
    `${PEER}.matchLabels.${'a'.repeat(60)}`,
    `"${'a'.repeat(60)}" is not a label key: with its source it is longer than 63`,
  ],
  [
    'a key with two sources',
    () => peer('matchLabels: { "k8s:a:b": x }'),
    `${PEER}.matchLabels["k8s:a:b"]`,
    '"k8s:a:b" is not a label key',
  ],
  [
    'a value that is too long',
    () => peer(`matchLabels: { a: ${'x'.repeat(64)} }`),
    `${PEER}.matchLabels.a`,
    `"${'x'.repeat(64)}" is not a label value: it is longer than 63`,
  ],
  [
    'In without values',
    () => peer('matchExpressions: [{ key: a, operator: In }]'),
    `${PEER}.matchExpressions[0].values`,
    'operator In needs at least one value',
  ],
  [
    'Exists with values',
    () => peer('matchExpressions: [{ key: a, operator: Exists, values: [b] }]'),
    `${PEER}.matchExpressions[0].values`,
    'operator Exists takes no values',
  ],
  [
    'an operator in lower case',
    () => peer('matchExpressions: [{ key: a, operator: notin, values: [b] }]'),
    `${PEER}.matchExpressions[0].operator`,
    'unknown operator "notin", did you mean "NotIn"?',
  ],
  [
    'a bad value in an expression',
    () => peer('matchExpressions: [{ key: a, operator: In, values: [ok, -b] }]'),
    `${PEER}.matchExpressions[0].values[1]`,
    '"-b" is not a label value',
  ],
  [
    'a bad requirement',
    () => egress('toRequires: [{}, { matchLabels: { "a b": c } }]'),
    'spec.egress[0].toRequires[1].matchLabels["a b"]',
    '"a b" is not a label key',
  ],

  [
    'a bad label of pods',
    () => networkPolicy('ingress: [{ from: [{ podSelector: { matchLabels: { a: "b c" } } }] }]'),
    'spec.ingress[0].from[0].podSelector.matchLabels.a',
    '"b c" is not a label value',
  ],
  [
    'a bad label of namespaces',
    () => networkPolicy('egress: [{ to: [{ namespaceSelector: { matchExpressions: [{ key: a, operator: In }] } }] }]'),
    'spec.egress[0].to[0].namespaceSelector.matchExpressions[0].values',
    'operator In needs at least one value',
  ],
  [
    'a namespace label that is too long with the prefix it gets',
    () => networkPolicy(`ingress: [{ from: [{ namespaceSelector: { matchLabels: { ${'a'.repeat(29)}: b } } }] }]`),
    `spec.ingress[0].from[0].namespaceSelector.matchLabels.${'a'.repeat(29)}`,
    `"k8s:io.cilium.k8s.namespace.labels.${'a'.repeat(29)}" is not a label key: with its source it is longer than 63`,
  ],
  [
    'a block beside pods',
    () => networkPolicy('egress: [{ to: [{ podSelector: {}, ipBlock: { cidr: 10.0.0.0/8 } }] }]'),
    'spec.egress[0].to[0]',
    'ipBlock cannot stand beside podSelector or namespaceSelector: write one peer for each',
  ],
  [
    'a block that is an address',
    () => networkPolicy('ingress: [{ from: [{ ipBlock: { cidr: 10.0.0.1 } }] }]'),
    'spec.ingress[0].from[0].ipBlock.cidr',
    '"10.0.0.1" is not a prefix like 10.0.0.0/8 or fd00::/8, did you mean "10.0.0.1/32"?',
  ],
  [
    'a port name that is none',
    () => networkPolicy('ingress: [{ ports: [{ port: 80 }, { port: a_b }] }]'),
    'spec.ingress[0].ports[1].port',
    '"a_b" is neither a port number (0..65535) nor the name of a port',
  ],
];

describe('refused', () => {
  test.each(refused)('%s', (_sentence, object, path, problem) => {
    const error = refusalOf(object());
    expect(error.message.replace(/^p\.yaml:\d+:\d+: /, '').slice(0, path.length + 2 + problem.length)).toBe(
      `${path}: ${problem}`,
    );
    expect(error).toMatchObject({ code: 'BAD_INPUT', context: { file: 'p.yaml', path } });
    expect(error).not.toBeInstanceOf(NotModelledError);
  });
});

test('a message names the line and column of the value at fault, or of what should hold it', () => {
  const lines = [
    'specs:',
    '- endpointSelector: {}',
    '  ingress: [{}]',
    '- endpointSelector: {}',
    '  egress:',
    '  - {}',
    '  - toCIDRSet:',
    '    - cidr: 10.0.0.0/8',
    '      except: [10.1.0.0/16, 11.0.0.0/16]',
  ];
  const except = 'p.yaml:12:29: specs[1].egress[1].toCIDRSet[0].except[1]: 11.0.0.0/16 does not lie in 10.0.0.0/8';
  expect(refusalOf(cnpOf(lines.join('\n'))).message).toBe(except);
  expect(refusalOf(port('protocol: TCP')).message).toMatch(
    /^p\.yaml:4:63: spec\.ingress\[0\]\.toPorts\[0\]\.ports\[0\]\.port: /,
  );
});

describe('known to Cilium, not modelled here, and refused only if all else is in order', () => {
  const groups = '[{ aws: { region: x } }]';
  test.each<[sentence: string, object: () => PolicyObject, path: string]>([
    ['groups to receive from', () => cnp(`ingress: [{ fromGroups: ${groups} }]`), 'spec.ingress[0].fromGroups'],
    ['groups to send to', () => egress(`toGroups: ${groups}`), 'spec.egress[0].toGroups'],
    [
      'groups to deny',
      () => cnp(`ingress: [{}], egressDeny: [{}, { toGroups: ${groups} }]`),
      'spec.egressDeny[1].toGroups',
    ],
  ])('%s', (_sentence, object, path) => {
    const error = refusalOf(object());
    expect(error).toBeInstanceOf(NotModelledError);
    expect(error.message).toContain(`: ${path}: groups of a cloud provider are not supported: write prefixes`);
  });
  test('something that is wrong is named first', () => {
    const object = cnpOf(
      `specs: [{ endpointSelector: {}, ingress: [{ fromGroups: ${groups} }] }, { endpointSelector: {} }]`,
    );
    expect(refusalOf(object)).not.toBeInstanceOf(NotModelledError);
  });
  test('an empty list of groups is none', () => expect(rulesOf(egress('toGroups: []'))).toHaveLength(1));
});

test('a policy without a name is refused', () => {
  const object = cnp('ingress: [{}]');
  const nameless = { ...object, metadata: { ...object.metadata, name: '' } } as PolicyObject;
  expect(refusalOf(nameless).message).toContain('metadata.name: a policy must have a name');
});

test('a refused policy changes nothing', () => {
  const repository = new PolicyRepository();
  expect(() => repository.upsert(cnp('description: nothing'))).toThrow('must have an entry');
  expect(repository.revision).toBe(1);
});

const accepted: [sentence: string, object: () => PolicyObject][] = [
  ['exactly 40 ports', () => cnp(`ingress: [{ toPorts: [{ ports: [${many((i) => `{ port: "${i}" }`, 40)}] }] }]`)],
  ['an empty list of entries beside one that is not', () => cnp('ingress: [{}], egress: []')],
  ['an empty list of peers beside others', () => cnp('ingress: [{ fromEndpoints: [], fromEntities: [host] }]')],
  ['an empty list of specs', () => cnpOf('specs: []')],
  [
    'nodes in specs of a namespace, which Cilium overlooks',
    () => cnpOf('specs: [{ nodeSelector: {}, ingress: [{}] }]'),
  ],
  ['server names for UDP', () => egress('toPorts: [{ ports: [{ port: "443", protocol: UDP }], serverNames: [a] }]')],
  [
    'server names beside L7 rules if TLS ends at the proxy',
    () =>
      egress(
        'toPorts: [{ ports: [{ port: "443", protocol: TCP }], serverNames: [a], terminatingTLS: { secret: { name: s } }, rules: { http: [{}] } }]',
      ),
  ],
  [
    'DNS rules for nodes',
    () => ccnp('nodeSelector: {}, egress: [{ toPorts: [{ ports: [{ port: "53" }], rules: { dns: [{}] } }] }]'),
  ],
  ['DNS rules for a named port with an end', () => rules('dns: [{}]', '{ port: dns, endPort: 54 }')],
  ['a name and a pattern in one DNS rule', () => rules('dns: [{ matchName: a.com, matchPattern: b.com }]')],
  ['a selector of prefixes', () => peer('matchLabels: { "cidr:10.0.0.0/8": "" }')],
  [
    'an exception that is larger than its prefix',
    () => egress('toCIDRSet: [{ cidr: 10.0.0.0/8, except: [10.0.0.0/4] }]'),
  ],
  ['exceptions of a group that are no prefixes', () => egress('toCIDRSet: [{ cidrGroupRef: g, except: [zzz] }]')],
  ['a regular expression with 1000 repeats', () => http('{ path: "a{1000}", method: "(?i)get|\\\\p{Greek}" }')],
  ['an authentication mode that is none', () => cnp('ingress: [{ authentication: { mode: foo } }]')],
];
test.each(accepted)('accepted: %s', (_sentence, object) => expect(() => rulesOf(object())).not.toThrow());
