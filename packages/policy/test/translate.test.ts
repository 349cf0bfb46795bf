import type { LabelSelector, NetworkPolicyPeer } from '@ciliate/k8s';
import { describe, expect, test } from 'vitest';
import { parseCiliumNetworkPolicy } from '../src/k8s/cilium_network_policy.ts';
import { parseNetworkPolicy } from '../src/k8s/network_policy.ts';
import { at, cnp, networkPolicy, port, select } from './build.ts';

const NAMESPACE = '"k8s:io.kubernetes.pod.namespace":"default"';
const peerOf = (labels: Record<string, string>): string =>
  parseCiliumNetworkPolicy(cnp('p', {}, { endpoints: [labels] }))[0]!.ingress[0]!.fromEndpoints![0]!.selector.key;

describe('a peer of a CiliumNetworkPolicy', () => {
  test.each<[string, Record<string, string>, string]>([
    ['is looked for in the namespace of the policy', { app: 'b' }, `{"matchLabels":{"any:app":"b",${NAMESPACE}}}`],
    ['may be any pod of that namespace', {}, `{"matchLabels":{${NAMESPACE}}}`],
    [
      'may name another namespace',
      { 'k8s:io.kubernetes.pod.namespace': 'x' },
      '{"matchLabels":{"k8s:io.kubernetes.pod.namespace":"x"}}',
    ],
    [
      'may name another namespace without a source',
      { 'io.kubernetes.pod.namespace': 'x' },
      '{"matchLabels":{"any:io.kubernetes.pod.namespace":"x"}}',
    ],
    [
      'may name a label of namespaces',
      { 'k8s:io.cilium.k8s.namespace.labels.team': 'a' },
      '{"matchLabels":{"k8s:io.cilium.k8s.namespace.labels.team":"a"}}',
    ],
    ['may be something reserved', { 'reserved:host': '' }, '{"matchLabels":{"reserved:host":""}}'],
  ])('%s', (_sentence, labels, want) => {
    expect(peerOf(labels)).toBe(want);
  });
});

test('a subject of a CiliumNetworkPolicy cannot leave its namespace', () => {
  const [rule] = parseCiliumNetworkPolicy(cnp('p', { 'k8s:io.kubernetes.pod.namespace': 'x' }, { entities: ['all'] }));
  expect(rule!.endpointSelector.selector.key).toBe(`{"matchLabels":{${NAMESPACE}}}`);
});

test('a rule carries the labels that are derived from its policy', () => {
  const [rule] = parseCiliumNetworkPolicy(cnp('web', {}, { entities: ['all'] }));
  expect(rule!.labels.toStrings()).toEqual([
    'k8s:io.cilium.k8s.policy.derived-from=CiliumNetworkPolicy',
    'k8s:io.cilium.k8s.policy.name=web',
    'k8s:io.cilium.k8s.policy.namespace=default',
    'k8s:io.cilium.k8s.policy.uid',
  ]);
});

test('each spec is a rule, and each ingress entry knows its place', () => {
  const two = cnp('p', {}, { entities: ['all'] }, { ports: [port(80)] });
  const rules = parseCiliumNetworkPolicy({ ...two, specs: [...two.specs, ...two.specs] });
  expect(rules.map(({ path }) => path)).toEqual(['specs[0]', 'specs[1]']);
  expect(rules[1]!.ingress[1]).toMatchObject({
    path: 'specs[1].ingress[1]',
    origin: {
      kind: 'CiliumNetworkPolicy',
      namespace: 'default',
      name: 'p',
      specIndex: 1,
      ruleIndex: 1,
      position: at(20),
    },
  });
});

const web: LabelSelector = {
  matchLabels: { app: 'web' },
  matchExpressions: [{ key: 't', operator: 'In', values: ['a'] }],
};
const peers = (from: Omit<NetworkPolicyPeer, 'position'>[] | undefined): (string | undefined)[] =>
  parseNetworkPolicy(
    networkPolicy('p', select(), [
      { position: at(10), from: from?.map((peer) => ({ ...peer, position: at(11) })), ports: undefined },
    ]),
  )[0]!.ingress.map(({ fromEndpoints }) => fromEndpoints?.[0]?.selector.key);

describe('a peer of a NetworkPolicy', () => {
  const none = undefined;
  test.each<[string, Parameters<typeof peers>[0], (string | undefined)[]]>([
    [
      'is looked for in the namespace of the policy',
      [{ podSelector: web, namespaceSelector: none }],
      [
        `{"matchLabels":{"k8s:app":"web",${NAMESPACE}},"matchExpressions":[{"key":"k8s:t","operator":"In","values":["a"]}]}`,
      ],
    ],
    [
      'in every namespace if the namespace selector is empty',
      [{ podSelector: none, namespaceSelector: select() }],
      ['{"matchExpressions":[{"key":"k8s:io.kubernetes.pod.namespace","operator":"Exists"}]}'],
    ],
    [
      'by labels of its namespace and its own',
      [{ podSelector: select({ app: 'x' }), namespaceSelector: web }],
      [
        '{"matchLabels":{"k8s:app":"x","k8s:io.cilium.k8s.namespace.labels.app":"web"},"matchExpressions":[' +
          '{"key":"k8s:io.cilium.k8s.namespace.labels.t","operator":"In","values":["a"]}]}',
      ],
    ],
    ['is everybody if there is no list', none, ['{}']],
    ['is everybody if the list is empty', [], ['{}']],
    ['that says nothing is no peer', [{ podSelector: none, namespaceSelector: none }], [undefined]],
    [
      'makes an ingress entry of its own',
      [
        { podSelector: select(), namespaceSelector: none },
        { podSelector: none, namespaceSelector: none },
      ],
      [`{"matchLabels":{${NAMESPACE}}}`, undefined],
    ],
  ])('%s', (_sentence, from, want) => {
    expect(peers(from)).toEqual(want);
  });
});

test('a NetworkPolicy without rules lets nobody in', () => {
  const [rule] = parseNetworkPolicy(networkPolicy('p', select({ app: 'web' })));
  expect(rule!.ingress).toEqual([
    expect.objectContaining({ fromEndpoints: undefined, fromEntities: undefined, toPorts: [] }),
  ]);
  expect(rule!.endpointSelector.selector.key).toBe(`{"matchLabels":{"k8s:app":"web",${NAMESPACE}}}`);
});

test('a port of a NetworkPolicy without a number is every port of its protocol', () => {
  const ports = [{ position: at(12), port: undefined, protocol: 'UDP' as const }];
  const [rule] = parseNetworkPolicy(networkPolicy('p', select(), [{ position: at(10), from: undefined, ports }]));
  expect(rule!.ingress[0]!.toPorts[0]!.ports).toEqual([
    { position: at(12), path: 'spec.ingress[0].ports[0]', port: '0', protocol: 'UDP' },
  ]);
});
