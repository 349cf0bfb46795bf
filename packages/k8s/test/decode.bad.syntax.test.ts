import { describe, expect, test } from 'vitest';
import { decodeObjects } from '../src/index.ts';
import { check, messageOf, type Row } from './bad.ts';
import { cnp, netpol, pod } from './texts.ts';

describe('Syntax, duplicates, aliases', () => {
  const rows: Row[] = [
    ['a tab indents', 'a:\n\t- b', 'x.yaml:2:1: not valid YAML: tabs are not allowed as indentation'],
    [
      'a flow list is not closed: only the first of the errors is told',
      'a: [1, 2\nb: 3',
      'x.yaml:2:1: not valid YAML: flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
    ['the file is cut off within quotes', 'kind: "Po', 'x.yaml:1:10: not valid YAML: missing closing "quote'],
    [
      'two mappings stand on one line',
      'a: b: c',
      'x.yaml:1:4: not valid YAML: nested mappings are not allowed in compact mappings',
    ],
    ['a tag that nobody knows', pod('  labels: {a: !env b}'), 'x.yaml:5:15: not valid YAML: unresolved tag: !env'],
    ['a mapping is a key', '{a: b}: c', 'x.yaml:1:1: not valid YAML: a key must be a string'],
    ['a key is there twice', pod('  labels: {a: b, a: c}'), 'x.yaml:5:18: metadata.labels: duplicate key "a"'],
    [
      'a key is there twice in a field that is not read',
      pod('spec: {volumes: [{name: a, name: b}]}'),
      'x.yaml:5:28: spec.volumes[0]: duplicate key "name"',
    ],
    [
      'a key is there twice in JSON, and a field is missing',
      '{"kind": "Pod",\n "kind": "Pod"}',
      'x.yaml:1:1: missing required field "apiVersion"',
      'x.yaml:2:2: duplicate key "kind"',
    ],
    ['an alias has no anchor', pod('  labels: *none'), 'x.yaml:5:11: metadata.labels: unknown alias "*none"'],
    [
      'an alias stands before its anchor',
      pod('  labels: *later\nspec: {nodeSelector: &later {a: b}}'),
      'x.yaml:5:11: metadata.labels: unknown alias "*later"',
    ],
    ['a merge key', pod('  labels:\n    <<: {a: b}'), 'x.yaml:6:5: metadata.labels: merge keys (<<) are not supported'],
    [
      'a merge key where fields are known',
      pod('  <<: {a: b}'),
      'x.yaml:5:3: metadata: merge keys (<<) are not supported',
    ],
    [
      'a wrong document does not hide the next one',
      'a: b: c\n---\nkind: Pood\napiVersion: v1\n',
      'x.yaml:1:4: not valid YAML: nested mappings are not allowed in compact mappings',
      'x.yaml:3:7: kind: unknown kind "Pood", did you mean "Pod"?',
    ],
  ];
  test.each(rows)('%s', check);
});

describe('Kinds and versions', () => {
  const rows: Row[] = [
    [
      'a misspelt kind',
      'apiVersion: cilium.io/v2\nkind: CiliumNetworkPolcy\n',
      'x.yaml:2:7: kind: unknown kind "CiliumNetworkPolcy", did you mean "CiliumNetworkPolicy"?',
    ],
    [
      'a kind in small letters',
      'apiVersion: v1\nkind: pod\n',
      'x.yaml:2:7: kind: unknown kind "pod", did you mean "Pod"?',
    ],
    [
      'a kind like no other',
      'apiVersion: v1\nkind: Banana\n',
      'x.yaml:2:7: kind: unknown kind "Banana"; want Namespace, Pod, Service, NetworkPolicy, Secret, EndpointSlice, CiliumNetworkPolicy, CiliumClusterwideNetworkPolicy, CiliumCIDRGroup, Node, CiliumNode, CiliumIdentity or CiliumEndpoint',
    ],
    [
      'a kind that is not modelled',
      'apiVersion: cilium.io/v2\nkind: CiliumEnvoyConfig\n',
      'x.yaml:2:7: kind: CiliumEnvoyConfig: not modelled yet',
    ],
    [
      'a controller of pods',
      'apiVersion: apps/v1\nkind: Deployment\n',
      'x.yaml:2:7: kind: Deployment: there are no controllers here: write the pods themselves',
    ],
    [
      'a version that the kind does not have',
      netpol('  podSelector: {}').replace('networking.k8s.io/v1', 'extensions/v1beta1'),
      'x.yaml:1:13: apiVersion: want "networking.k8s.io/v1" for a NetworkPolicy, found "extensions/v1beta1"',
    ],
    [
      'a version without its group',
      cnp('  endpointSelector: {}').replace('cilium.io/v2', 'v2'),
      'x.yaml:1:13: apiVersion: want "cilium.io/v2" for a CiliumNetworkPolicy, found "v2"',
    ],
    ['a misspelt kind field', 'apiVersion: v1\nknd: Pod\n', 'x.yaml:2:1: unknown field "knd", did you mean "kind"?'],
    ['no kind', 'apiVersion: v1\n', 'x.yaml:1:1: missing required field "kind"'],
    ['no version', 'kind: Pod\n', 'x.yaml:1:1: missing required field "apiVersion"'],
    ['a kind that is a list', 'apiVersion: v1\nkind: [Pod]\n', 'x.yaml:2:7: kind: want a string, found a list'],
    ['a document that is a list', '- kind: Pod', 'x.yaml:1:1: want a Kubernetes object, found a list'],
    ['a document that is a word', 'hello', 'x.yaml:1:1: want a Kubernetes object, found "hello"'],
    [
      'an item of a List',
      'apiVersion: v1\nkind: List\nitems:\n  - {apiVersion: v1, kind: Namespace, metadata: {name: A}}\n  - 7\n',
      `x.yaml:4:56: items[0].metadata.name: "A" is no DNS label: want lower-case letters, digits and '-', a letter or digit at both ends`,
      'x.yaml:5:5: items[1]: want a Kubernetes object, found the number 7',
    ],
    ['a List without items', 'apiVersion: v1\nkind: List\n', 'x.yaml:1:1: missing required field "items"'],
  ];
  test.each(rows)('%s', check);
});

test('nesting without end is an error like any other', () => {
  expect(messageOf('['.repeat(30_000))).toMatch(/^x\.yaml:1:\d+: not valid YAML: nested too deeply$/);
});

test('aliases cannot make a small text stand for a huge one', () => {
  const item = '- {apiVersion: v1, kind: List, items: *all}\n';
  const text = `apiVersion: v1\nkind: List\nitems: &all\n${item}${item}`;
  expect(messageOf(text)).toMatch(/^x\.yaml:4:\d+: [a-z[\].0-9]+: more than 100 uses of aliases in one document$/);
});

test('twenty problems are told, the others counted', () => {
  const text = Array.from({ length: 25 }, (_, n) => `kind: Kind${n}\n---\n`).join('');
  const lines = messageOf(text).split('\n');
  expect(lines).toHaveLength(21);
  expect(lines[19]).toBe('x.yaml:39:1: missing required field "apiVersion"');
  expect(lines[20]).toBe('and 5 more');
});

test('an error can be read by programs', () => {
  let error: unknown;
  try {
    decodeObjects(cnp('  endpointSelecter: {}\n  egress: {}\n'), 'x.yaml');
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toMatchObject({
    name: 'DecodeError',
    code: 'BAD_INPUT',
    context: { problems: 2, file: 'x.yaml', line: 6, column: 3 },
    problems: [
      {
        position: { file: 'x.yaml', line: 6, column: 3 },
        field: 'spec',
        message: 'unknown field "endpointSelecter", did you mean "endpointSelector"?',
        suggestion: 'endpointSelector',
      },
      {
        position: { file: 'x.yaml', line: 7, column: 11 },
        field: 'spec.egress',
        message: 'want a list, found a mapping',
        suggestion: undefined,
      },
    ],
  });
});
