import { expect, test } from 'vitest';
import { decodeObjects } from '../src/index.ts';

const HEAD = 'apiVersion: v1\nkind: Secret\nmetadata: { name: s }\n';
const secret = (rest: string): unknown => decodeObjects(HEAD + rest, 'x.yaml')[0];

test('a secret has its data decoded, and texts as they are; texts count more', () => {
  const rest = 'type: kubernetes.io/tls\ndata: { a: aGk=, b: /w==, c: "" }\nstringData: { a: other, d: "ä" }\n';
  expect(secret(rest)).toMatchObject({
    kind: 'Secret',
    type: 'kubernetes.io/tls',
    metadata: { namespace: 'default', name: 's' },
    data: { a: 'other', b: '\xff', c: '', d: '\xc3\xa4' },
  });
  expect(secret('')).toMatchObject({ type: 'Opaque', data: {} });
});

test('base64 may go over several lines', () => {
  expect(secret('data:\n  a: |\n    aGVs\n    bG8=\n')).toMatchObject({ data: { a: 'hello' } });
});

test.each([
  [
    'text where base64 belongs',
    'data: { a: hello }',
    'x.yaml:4:9: data: "a": want base64; text as it is stands in stringData',
  ],
  [
    'base64 that ends too early',
    'data: { a: aGk }',
    'x.yaml:4:9: data: "a": want base64; text as it is stands in stringData',
  ],
  ['a key that is none', 'stringData: { "a b": c }', 'x.yaml:4:15: stringData: "a b" is no key of a secret'],
  ['a field like no other', 'dat: {}', 'x.yaml:4:1: unknown field "dat", did you mean "data"?'],
])('%s', (_name, rest, message) => {
  expect(() => secret(rest)).toThrow(message);
});
