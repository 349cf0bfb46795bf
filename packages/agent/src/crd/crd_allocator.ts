import {
  type Allocation,
  type Allocator,
  type IdentityCache,
  IdentityError,
  type IdentityRange,
  IdPool,
  type NumericIdentity,
  SCOPE_GLOBAL,
  scopeForLabels,
} from '@ciliate/identity';
import { type CiliumIdentity, HEARTBEAT_ANNOTATION, type ObjectStore } from '@ciliate/k8s';
import { type Label, Labels, POD_NAMESPACE_LABEL } from '@ciliate/labels';

export interface CrdAllocatorOptions {
  readonly store: ObjectStore;
  /** Kept up to date with the objects. Belongs to this allocator alone. */
  readonly cache: IdentityCache;
  /** In [0, 1); chooses among the free numbers. */
  readonly random: () => number;
  readonly range: IdentityRange;
}

/** Nobody wrote such an object down. */
const MADE_HERE = { file: 'the agent', line: 1, column: 1 };

/**
 * Numbers for label sets as CiliumIdentity objects, `--identity-allocation-mode=crd`: an object's name is the number of its
 * labels. Who uses it is told by CiliumEndpoints alone, so a release changes nothing; an identity that the operator has
 * marked is unmarked by who uses it again, and one that is deleted while in use here is made again.
 * Source: pkg/k8s/identitybackend/identity.go.
 */
export class CrdAllocator implements Allocator {
  readonly #store: ObjectStore;
  readonly #cache: IdentityCache;
  readonly #range: IdentityRange;
  readonly #pool: IdPool;
  /** Labels → numbers, the oldest first: it counts, should there be several. */
  readonly #byLabels = new Map<string, NumericIdentity[]>();
  readonly #inUse = new Map<string, { readonly identity: NumericIdentity; readonly labels: Labels; users: number }>();
  readonly #unwatch: () => void;

  constructor({ store, cache, random, range }: CrdAllocatorOptions) {
    this.#store = store;
    this.#cache = cache;
    this.#range = range;
    this.#pool = new IdPool(range, random);
    this.#unwatch = store.watch(['CiliumIdentity'], ({ type, object }) => {
      if (type === 'deleted') this.#lost(object);
      else this.#learn(object);
    });
  }

  async allocate(labels: Labels): Promise<Allocation> {
    const reserved = this.#cache.reserved.lookup(labels);
    if (reserved !== undefined) return { identity: reserved, isNew: false };
    if (labels.size === 0) throw new IdentityError('INVALID', 'an identity needs at least one label');
    if (scopeForLabels(labels) !== SCOPE_GLOBAL)
      throw new IdentityError('UNSUPPORTED', 'identities local to a node are none of pods', { labels: `${labels}` });
    const key = labels.sortedList();
    const use = this.#inUse.get(key);
    if (use !== undefined) {
      use.users++;
      return { identity: use.identity, isNew: false };
    }
    const known = this.#byLabels.get(key)?.[0];
    const identity = known ?? this.#pool.lease();
    if (identity === undefined)
      throw new IdentityError('EXHAUSTED', 'no more available identities', { ...this.#range });
    this.#inUse.set(key, { identity, labels, users: 1 });
    this.#hold(identity, labels);
    return { identity, isNew: known === undefined };
  }

  async release(labels: Labels): Promise<boolean> {
    if (this.#cache.reserved.lookup(labels) !== undefined) return false;
    const key = labels.sortedList();
    const use = this.#inUse.get(key);
    if (use === undefined)
      throw new IdentityError('NOT_ALLOCATED', 'labels are not in use here', { labels: `${labels}` });
    if (--use.users > 0) return false;
    this.#inUse.delete(key);
    return true;
  }

  lookup(labels: Labels): NumericIdentity | undefined {
    return this.#cache.reserved.lookup(labels) ?? this.#byLabels.get(labels.sortedList())?.[0];
  }

  /** Identities in use here exist and are not marked. */
  sync(): void {
    for (const { identity, labels } of [...this.#inUse.values()]) this.#hold(identity, labels);
  }

  close(): void {
    this.#unwatch();
  }

  /** Makes the object if there is none, and takes the operator's mark off it. */
  #hold(identity: NumericIdentity, labels: Labels): void {
    const found = this.#store.get({ kind: 'CiliumIdentity', namespace: '', name: `${identity}` });
    if (found === undefined) {
      this.#store.apply(identityObject(identity, labels));
      return;
    }
    const { [HEARTBEAT_ANNOTATION]: mark, ...annotations } = found.metadata.annotations;
    if (mark !== undefined) this.#store.apply({ ...found, metadata: { ...found.metadata, annotations } });
  }

  #learn(object: CiliumIdentity): void {
    const identity = Number(object.metadata.name);
    const labels = labelsOf(object);
    const before = this.#cache.get(identity);
    if (before !== undefined && !before.equals(labels)) this.#forget(identity, before);
    const numbers = this.#byLabels.get(labels.sortedList()) ?? [];
    if (!numbers.includes(identity)) this.#byLabels.set(labels.sortedList(), [...numbers, identity]);
    this.#pool.remove(identity);
    this.#cache.add(identity, labels);
  }

  #lost(object: CiliumIdentity): void {
    const identity = Number(object.metadata.name);
    const labels = labelsOf(object);
    if (this.#inUse.get(labels.sortedList())?.identity === identity) {
      this.#hold(identity, labels);
      return;
    }
    this.#forget(identity, labels);
    this.#cache.remove(identity);
    this.#pool.insert(identity);
  }

  #forget(identity: NumericIdentity, labels: Labels): void {
    const numbers = this.#byLabels.get(labels.sortedList())?.filter((one) => one !== identity) ?? [];
    if (numbers.length > 0) this.#byLabels.set(labels.sortedList(), numbers);
    else this.#byLabels.delete(labels.sortedList());
  }
}

/** Of its labels, the object itself has the namespace alone. */
function identityObject(identity: NumericIdentity, all: Labels): CiliumIdentity {
  const namespace = all.get(POD_NAMESPACE_LABEL)?.value;
  const labels: Record<string, string> = namespace === undefined ? {} : { [POD_NAMESPACE_LABEL]: namespace };
  return {
    kind: 'CiliumIdentity',
    position: MADE_HERE,
    metadata: { name: `${identity}`, namespace: '', labels, annotations: {} },
    securityLabels: Object.fromEntries([...all].map(({ source, key, value }) => [`${source}:${key}`, value])),
  };
}

export const labelsOf = ({ securityLabels }: CiliumIdentity): Labels =>
  Labels.of(
    Object.entries(securityLabels).map(([name, value]): Label => {
      const at = name.indexOf(':');
      return { source: name.slice(0, at), key: name.slice(at + 1), value };
    }),
  );
