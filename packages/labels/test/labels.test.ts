import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareBytes, EndpointSelector, identityLabelsOf, type Label, Labels } from '../src/index.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const pod = { podLabels: {}, namespaceLabels: {}, namespace: 'ns', serviceAccount: 'sa', cluster: 'c1' };
const DERIVED = ['k8s:io.cilium.k8s.policy.cluster=c1', 'k8s:io.kubernetes.pod.namespace=ns'];
const SERVICE_ACCOUNT = 'k8s:io.cilium.k8s.policy.serviceaccount=sa';

test.each<[string, Partial<typeof pod> | { serviceAccount: undefined }, string[]]>([
  ['a bare pod is its namespace, account and cluster', {}, [...DERIVED, SERVICE_ACCOUNT]],
  ['a pod without account has no account label', { serviceAccount: undefined }, DERIVED],
  ['its own labels count', { podLabels: { app: 'web' } }, ['k8s:app=web', ...DERIVED, SERVICE_ACCOUNT]],
  ['a generated label does not', { podLabels: { 'pod-template-hash': 'x' } }, [...DERIVED, SERVICE_ACCOUNT]],
  [
    'a pod cannot claim Cilium labels',
    { podLabels: { 'io.cilium.k8s.policy.cluster': 'other', 'io.cilium.k8s.namespace.labels.team': 'root' } },
    [...DERIVED, SERVICE_ACCOUNT],
  ],
  [
    'a pod cannot claim another namespace',
    { podLabels: { 'io.kubernetes.pod.namespace': 'other' } },
    [...DERIVED, SERVICE_ACCOUNT],
  ],
  [
    'labels of the namespace come prefixed',
    { namespaceLabels: { team: 'a' } },
    ['k8s:io.cilium.k8s.namespace.labels.team=a', ...DERIVED, SERVICE_ACCOUNT],
  ],
])('%s', (_name, change, want) => {
  expect(identityLabelsOf({ ...pod, ...change }).toStrings()).toEqual([...want].sort());
});

test('a label set is independent of the list it was made from', () => {
  const list: Label[] = [{ source: 'k8s', key: 'a', value: '1' }];
  const labels = Labels.of(list);
  list.push({ source: 'k8s', key: 'b', value: '2' });
  expect(labels.toString()).toBe('k8s:a=1');
});

test('a Kubernetes selector asks for k8s labels only and joins its parts', () => {
  const selector = EndpointSelector.ofSource(
    'k8s',
    { matchLabels: { app: 'web' }, matchExpressions: [] },
    { matchLabels: {}, matchExpressions: [{ key: 'tier', operator: 'Exists', values: [] }] },
  );
  expect(selector.matches(Labels.parse(['k8s:app=web', 'k8s:tier=x']))).toBe(true);
  expect(selector.matches(Labels.parse(['container:app=web', 'k8s:tier=x']))).toBe(false);
  expect(selector.matches(Labels.parse(['k8s:app=web']))).toBe(false);
});

// Few sources, keys and values, so that the same key meets itself often; includes both sides of the surrogate range.
const text = fc.constantFrom('a', 'b', 'é', '\u{1f600}', '');
const label = fc.record({
  source: fc.constantFrom('k8s', 'reserved', 'any'),
  key: fc.string({ unit: text, minLength: 1, maxLength: 3 }).filter((key) => key !== ''),
  value: text,
});

test('byte order is the order of the UTF-8 bytes', () => {
  const anyText = fc.string({ unit: 'binary', maxLength: 4 });
  fc.assert(
    fc.property(anyText, anyText, (a, b) => {
      expect(Math.sign(compareBytes(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
    { seed, numRuns: 500 },
  );
});

test('labels survive the round trip through the key-value store, and the later of two equal keys stays', () => {
  fc.assert(
    fc.property(fc.array(label, { maxLength: 6 }), (list) => {
      const model = new Map(list.map((one) => [one.key, one]));
      const labels = Labels.of(list);
      expect(new Map([...labels].map((one) => [one.key, one]))).toEqual(model);
      expect(Labels.fromSortedList(labels.sortedList()).equals(labels)).toBe(true);
    }),
    { seed, numRuns: 300 },
  );
});
