import { expect, test } from 'vitest';
import { decodeObjects, findWorkload, InputError, ObjectStore } from '../src/index.ts';
import { pod, service } from './texts.ts';

const store = new ObjectStore();
const spec = '  clusterIP: 10.96.0.1\n  selector: {a: b}\n  ports: [{port: 80}]\n';
for (const text of [
  pod('').replace('web-1', 'deathstar'),
  pod('').replace('web-1', 'tiefighter'),
  pod('  namespace: svc').replace('web-1', 'odd'),
  service(spec).replace('web', 'deathstar'),
  service(spec).replace('web', 'kube-dns, namespace: kube-system'),
]) {
  for (const object of decodeObjects(text, 'x.yaml')) store.apply(object);
}

function answer(word: string): string {
  try {
    const { kind, metadata } = findWorkload(store, word);
    return `${kind} ${metadata.namespace}/${metadata.name}`;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    expect(error).toMatchObject({ code: 'BAD_INPUT', context: { word } });
    return error.message;
  }
}

const scenarios: [sentence: string, word: string, answer: string][] = [
  ['a full name', 'default/tiefighter', 'Pod default/tiefighter'],
  ['without a namespace, default is meant', 'tiefighter', 'Pod default/tiefighter'],
  ['a service goes before a pod of its name', 'default/deathstar', 'Service default/deathstar'],
  ['pod/ means the pod', 'pod/deathstar', 'Pod default/deathstar'],
  ['pod/ with a namespace', 'pod/default/deathstar', 'Pod default/deathstar'],
  ['svc/ means the service', 'svc/kube-system/kube-dns', 'Service kube-system/kube-dns'],
  ['service/ does too', 'service/deathstar', 'Service default/deathstar'],
  ['a namespace called like a prefix needs the prefix', 'pod/svc/odd', 'Pod svc/odd'],
  ['a misspelt name', 'default/deathstr', 'no pod or service "default/deathstr", did you mean "default/deathstar"?'],
  [
    'the name in another namespace',
    'kube-dns',
    'no pod or service "default/kube-dns", did you mean "kube-system/kube-dns"?',
  ],
  ['no such service, though a pod', 'svc/tiefighter', 'no service "default/tiefighter"'],
  ['no such pod, though a service', 'pod/kube-system/kube-dns', 'no pod "kube-system/kube-dns"'],
  ['nothing near', 'banana', 'no pod or service "default/banana"'],
  ['too many parts', 'a/b/c', '"a/b/c" is no name of a pod or service: want [pod/|svc/][NAMESPACE/]NAME'],
  ['no name', 'default/', '"default/" is no name of a pod or service: want [pod/|svc/][NAMESPACE/]NAME'],
  ['nothing at all', '', '"" is no name of a pod or service: want [pod/|svc/][NAMESPACE/]NAME'],
];
test.each(scenarios)('%s', (_sentence, word, expected) => {
  expect(answer(word)).toBe(expected);
});
