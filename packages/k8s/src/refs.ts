import { InputError } from './errors.ts';
import type { ObjectStore } from './store.ts';
import type { Pod, Service } from './types.ts';
import { didYouMean, nearestWord, quoted } from './words.ts';

type WorkloadKind = 'Pod' | 'Service';

const PREFIXES: ReadonlyMap<string, WorkloadKind> = new Map([
  ['pod', 'Pod'],
  ['svc', 'Service'],
  ['service', 'Service'],
]);

/**
 * Find what a user calls `[pod/|svc/|service/][NAMESPACE/]NAME`. Without a namespace, `default` is meant; without a
 * prefix, the Service if there is one of that name, else the Pod. A first part `pod`, `svc` or `service` is always the
 * prefix: a namespace of such a name needs it (`pod/svc/NAME`).
 *
 * @throws InputError if there is none, with the nearest name
 */
export function findWorkload(store: ObjectStore, word: string): Pod | Service {
  const { kinds, namespace, name } = parse(word);
  for (const kind of kinds) {
    const found = store.get({ kind, namespace, name });
    if (found !== undefined) return found;
  }
  const full = `${namespace}/${name}`;
  const existing = kinds.flatMap((kind) => store.list(kind).map(({ metadata }) => metadata));
  // The same name in another namespace is a likelier slip than another name in this one.
  const elsewhere = existing.find((metadata) => metadata.name === name);
  const suggestion = elsewhere
    ? `${elsewhere.namespace}/${elsewhere.name}`
    : nearestWord(full, new Set(existing.map((metadata) => `${metadata.namespace}/${metadata.name}`)));
  const wanted = kinds.length > 1 ? 'pod or service' : kinds[0] === 'Pod' ? 'pod' : 'service';
  throw new InputError(`no ${wanted} ${quoted(full)}${didYouMean(suggestion)}`, { word });
}

function parse(word: string): { kinds: readonly WorkloadKind[]; namespace: string; name: string } {
  const parts = word.split('/');
  const prefix = parts.length > 1 ? PREFIXES.get(parts[0] ?? '') : undefined;
  if (prefix !== undefined) parts.shift();
  const name = parts.pop() ?? '';
  const namespace = parts.pop() ?? 'default';
  if (parts.length > 0 || name === '' || namespace === '') {
    throw new InputError(`${quoted(word)} is no name of a pod or service: want [pod/|svc/][NAMESPACE/]NAME`, { word });
  }
  return { kinds: prefix === undefined ? ['Service', 'Pod'] : [prefix], namespace, name };
}
