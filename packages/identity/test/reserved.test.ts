import { readFileSync } from 'node:fs';
import { Labels } from '@ciliate/labels';
import { expect, test } from 'vitest';
import {
  IDENTITY_UNKNOWN,
  IdentityCache,
  identityName,
  identityRange,
  identityScope,
  isReservedIdentity,
  reservedIdentityByName,
  SCOPE_GLOBAL,
  SCOPE_LOCAL,
  SCOPE_REMOTE_NODE,
} from '../src/index.ts';
import { scopeForLabels } from '../src/reserved.ts';

/** Printed by Cilium: every identity that is not allocated, with cluster name "default". */
const fixture: { id: number; name: string; labels: string[] }[] = JSON.parse(
  readFileSync(new URL('./fixtures/reserved_identities.json', import.meta.url), 'utf8'),
);

test('the identities known from the start are those that Cilium prints', () => {
  const known = new IdentityCache().entries();
  expect(known.map(([id, labels]) => ({ id, name: identityName(id), labels: labels.toStrings() }))).toEqual(fixture);
});

test.each(fixture)('the labels of $id are found without allocation', ({ id, labels }) => {
  expect(new IdentityCache().reserved.lookup(Labels.parse(labels))).toBe(id);
});

const lookups: [name: string, labels: string[], want: number | undefined][] = [
  ['labels of a pod', ['k8s:app=web'], undefined],
  ['host wins whatever stands beside it', ['reserved:host', 'k8s:app=web'], 1],
  ['a remote node with other labels stays a remote node', ['reserved:remote-node', 'k8s:zone=a'], 6],
  ['a remote node that serves the API', ['reserved:remote-node', 'reserved:kube-apiserver', 'k8s:zone=a'], 7],
  ['world beside another label is not the reserved identity', ['reserved:world', 'cidr:10.0.0.0/8'], undefined],
  ['a reserved label nobody knows', ['reserved:moon'], undefined],
  ['unknown is a name, but not for labels', ['reserved:unknown'], undefined],
  ['the word host from another source', ['k8s:host'], undefined],
];
test.each(lookups)('reserved by labels: %s', (_name, labels, want) => {
  expect(new IdentityCache().reserved.lookup(Labels.parse(labels))).toBe(want);
});

test('well-known labels depend on the cluster name', () => {
  const labels = Labels.parse(fixture.find(({ id }) => id === 102)!.labels);
  expect(new IdentityCache('other').reserved.lookup(labels)).toBeUndefined();
});

test('a number of the user’s own is refused by name', () => {
  const labels = Labels.parse(['k8s:io.cilium.fixed-identity=kube-dns']);
  expect(() => new IdentityCache().reserved.lookup(labels)).toThrow('label io.cilium.fixed-identity');
});

const scopes: [name: string, labels: string[], want: number][] = [
  ['a pod', ['k8s:app=web', 'k8s:io.kubernetes.pod.namespace=default'], SCOPE_GLOBAL],
  ['a CIDR', ['cidr:10.0.0.0/8', 'reserved:world'], SCOPE_LOCAL],
  ['a DNS name', ['fqdn:cilium.io', 'reserved:world'], SCOPE_LOCAL],
  ['a CIDR that a pod label joins', ['cidr:10.0.0.0/8', 'k8s:app=web'], SCOPE_GLOBAL],
  ['the ingress proxy, with labels', ['reserved:ingress', 'k8s:app=web'], SCOPE_LOCAL],
  ['a node, with labels', ['reserved:remote-node', 'cidr:10.0.0.1/32'], SCOPE_REMOTE_NODE],
];
test.each(scopes)('scope of %s', (_name, labels, want) => {
  expect(scopeForLabels(Labels.parse(labels))).toBe(want);
});

test('names, scopes and ranges of numbers', () => {
  expect(identityName(2)).toBe('world');
  expect(identityName(11)).toBe('11'); // overlay-to-encrypt has a number but no printed name
  expect(identityName(1234)).toBe('1234');
  expect(reservedIdentityByName('world-ipv6')).toBe(10);
  expect(reservedIdentityByName('unknown')).toBeUndefined();
  expect([IDENTITY_UNKNOWN, 10, 11, 102, 256].map(isReservedIdentity)).toEqual([true, true, false, false, false]);
  expect([256, 0x01000001, 0x02000001, 0xff000000].map(identityScope)).toEqual([
    0,
    SCOPE_LOCAL,
    SCOPE_REMOTE_NODE,
    0xff000000,
  ]);
  expect(identityRange()).toEqual({ min: 256, max: 65535 });
  expect(identityRange(3)).toEqual({ min: 0x030000, max: 0x03ffff });
  expect(identityRange(255)).toEqual({ min: 0xff0000, max: 0xffffff });
  expect(identityRange(0, 511)).toEqual({ min: 256, max: 0x7fff }); // twice the clusters, half of the numbers
  expect(identityRange(511, 511)).toEqual({ min: 0xff8000, max: 0xffffff });
});
