import type { CiliumNetworkPolicy } from '@ciliate/k8s';
import { describe, expect, test } from 'vitest';
import { PolicyError, PolicyRepository } from '../src/index.ts';
import { at, cnp, metadata, networkPolicy, port, select } from './build.ts';

const refusal = (object: Parameters<PolicyRepository['upsert']>[0]): PolicyError => {
  const repository = new PolicyRepository({ clusterName: 'default' });
  try {
    repository.upsert(object);
  } catch (error) {
    expect(repository.revision).toBe(1);
    if (error instanceof PolicyError) return error;
    throw error;
  }
  throw new Error('was accepted');
};

const app = { app: 'a' };
const withSubject = (key: string, value: string) => cnp('p', { [key]: value }, { entities: ['all'] });
const withPeer = (operator: string, ...values: string[]): CiliumNetworkPolicy => {
  const policy = cnp('p', app, { endpoints: [{}] });
  policy.specs[0]!.ingress![0]!.fromEndpoints![0]!.matchExpressions.push({ key: 'x', operator, values });
  return policy;
};
const tooMany = { ...port(80), ports: Array.from({ length: 41 }, (_, i) => ({ ...port(i + 1).ports[0]! })) };

const PORT = 'p.yaml:21:3: spec.ingress[0].toPorts[0].ports[0]';
const SUBJECT = 'p.yaml:5:3: spec.endpointSelector.matchLabels';
const PEER = 'p.yaml:11:3: spec.ingress[0].fromEndpoints[0].matchExpressions[0]';

const refused: [sentence: string, object: Parameters<PolicyRepository['upsert']>[0], message: string][] = [
  [
    'a policy without specs',
    { kind: 'CiliumNetworkPolicy', position: at(1), metadata: metadata('p'), specs: [] },
    'p.yaml:1:3: spec: a CiliumNetworkPolicy must have a spec or specs',
  ],
  ['a spec without rules', cnp('p', app), 'p.yaml:5:3: spec: a rule must hold at least one entry in ingress'],
  [
    'endpoints and entities in one entry',
    cnp('p', app, { endpoints: [{}], entities: ['host'] }),
    'p.yaml:10:3: spec.ingress[0]: combining fromEndpoints and fromEntities is not supported by Cilium',
  ],
  [
    'an unknown entity, with those that exist',
    cnp('p', app, { entities: ['all', 'clustr'] }),
    'p.yaml:10:3: spec.ingress[0].fromEntities[1]: unknown entity "clustr", expected one of all, cluster, health',
  ],
  ['a port above 65535', cnp('p', app, { ports: [port(65536)] }), `${PORT}.port: "65536" is not a port number`],
  ['a port that is no number', cnp('p', app, { ports: [port('80.5')] }), `${PORT}.port: "80.5" is not a port number`],
  ['an octal port with a digit 9', cnp('p', app, { ports: [port('09')] }), `${PORT}.port: "09" is not a port number`],
  ['an empty port', cnp('p', app, { ports: [port('')] }), `${PORT}.port: a port must be given`],
  ['a named port, for now', cnp('p', app, { ports: [port('http')] }), `${PORT}.port: "http" is a port name, and named`],
  [
    'a hexadecimal port, which is a name',
    cnp('p', app, { ports: [port('0x50')] }),
    `${PORT}.port: "0x50" is a port name`,
  ],
  [
    'more than 40 ports',
    cnp('p', app, { ports: [tooMany] }),
    'p.yaml:20:3: spec.ingress[0].toPorts[0].ports: 41 ports are too many, at most 40',
  ],
  [
    'HTTP over UDP',
    cnp('p', app, { ports: [port(80, 'UDP', { method: 'GET' })] }),
    `${PORT}.protocol: HTTP rules need protocol TCP, this port says UDP`,
  ],
  [
    'HTTP over any protocol',
    cnp('p', app, { ports: [port(80, 'ANY', { method: 'GET' })] }),
    `${PORT}.protocol: HTTP rules need protocol TCP, this port says ANY`,
  ],
  [
    'HTTP on port 0',
    cnp('p', app, { ports: [port(0, 'TCP', { method: 'GET' })] }),
    `${PORT}.port: HTTP rules cannot be used with port 0`,
  ],
  [
    'a path that is no regular expression',
    cnp('p', app, { ports: [port(80, 'TCP', {}, { path: '/[a' })] }),
    'p.yaml:20:3: spec.ingress[0].toPorts[0].rules.http[1].path: "/[a" is not a regular expression (RE2)',
  ],
  [
    'a method with a lookahead, which RE2 does not have',
    cnp('p', app, { ports: [port(80, 'TCP', { method: 'G(?=E)' })] }),
    'p.yaml:20:3: spec.ingress[0].toPorts[0].rules.http[0].method: "G(?=E)" is not a regular expression (RE2)',
  ],
  ['a key with a space', withSubject('a b', 'x'), `${SUBJECT}: "a b" is not a label key`],
  ['a key with two slashes', withSubject('a/b/c', 'x'), `${SUBJECT}: "a/b/c" is not a label key: more than one "/"`],
  ['a key with a bad prefix', withSubject('A_/b', 'x'), `${SUBJECT}: "A_/b" is not a label key: what is before "/"`],
  ['a key that is too long', withSubject('a'.repeat(60), 'x'), `${SUBJECT}: "${'a'.repeat(60)}" is not a label key`],
  ['a key with two sources', withSubject('k8s:a:b', 'x'), `${SUBJECT}: "k8s:a:b" is not a label key`],
  ['a value with a space', withSubject('a', 'x y'), `${SUBJECT}: "x y" is not a label value`],
  [
    'a value that is too long',
    withSubject('a', 'x'.repeat(64)),
    `${SUBJECT}: "${'x'.repeat(64)}" is not a label value`,
  ],
  ['a selector on prefixes, for now', withSubject('cidr:10.0.0.0/8', ''), `${SUBJECT}: "cidr:10.0.0.0/8": selecting`],
  ['In without values', withPeer('In'), `${PEER}.values: operator In needs at least one value`],
  ['Exists with values', withPeer('Exists', 'v'), `${PEER}.values: operator Exists takes no values`],
  ['an unknown operator', withPeer('Is', 'v'), `${PEER}.operator: unknown operator "Is", expected In, NotIn`],
  ['a bad value in an expression', withPeer('In', 'ok', '-b'), `${PEER}.values[1]: "-b" is not a label value`],
  [
    'a bad label of a NetworkPolicy peer',
    networkPolicy('p', select(app), [
      {
        position: at(10),
        from: [{ position: at(11), podSelector: select({ a: 'b c' }), namespaceSelector: undefined }],
        ports: undefined,
      },
    ]),
    'p.yaml:11:3: spec.ingress[0].from[0].podSelector.matchLabels: "b c" is not a label value',
  ],
  [
    'the second of two specs',
    { ...cnp('p', app), specs: [...cnp('p', app, { entities: ['all'] }).specs, ...cnp('p', app).specs] },
    'p.yaml:5:3: specs[1]: a rule must hold at least one entry in ingress',
  ],
];

describe('refused', () => {
  test.each(refused)('%s', (_sentence, object, message) => {
    const error = refusal(object);
    expect(error.message.slice(0, message.length)).toBe(message);
    expect(error.code).toBe('BAD_INPUT');
    expect(error.context.file).toBe('p.yaml');
  });
});

const forty = { ...tooMany, ports: tooMany.ports.slice(1) };
const accepted: [sentence: string, object: Parameters<PolicyRepository['upsert']>[0]][] = [
  ['exactly 40 ports', cnp('p', app, { ports: [forty] })],
  [
    'a host that is no regular expression: the proxy will refuse it',
    cnp('p', app, { ports: [port(80, 'TCP', { host: '[' })] }),
  ],
  [
    'empty HTTP rules on UDP: they count as none',
    cnp('p', app, { ports: [{ ...port(53, 'UDP'), rules: { http: [] } }] }),
  ],
  ['an empty peer list beside entities', cnp('p', app, { endpoints: [], entities: ['host'] })],
  ['a selector value that is empty', withSubject('flag', '')],
];

test.each(accepted)('accepted: %s', (_sentence, object) => {
  expect(new PolicyRepository({ clusterName: 'default' }).upsert(object)).toBe(2);
});
