import { isDeepStrictEqual } from 'node:util';
import type { Kind, ObjectOf } from './kinds/kinds.ts';
import type { K8sObject } from './types.ts';

/** The name of an object; `namespace` is '' for an object that belongs to the whole cluster. */
export interface ObjectRef<K extends Kind = Kind> {
  readonly kind: K;
  readonly namespace: string;
  readonly name: string;
}

/** `deleted` carries the object as it was last. `resourceVersion` is the store's after the change. */
export type WatchEvent<O extends K8sObject = K8sObject> = { readonly object: O; readonly resourceVersion: number } & (
  | { readonly type: 'added' | 'deleted' }
  | { readonly type: 'modified'; readonly old: O }
);

interface Watcher {
  readonly kinds: ReadonlySet<Kind>;
  readonly handler: (event: WatchEvent) => void;
}

/**
 * The emulated API server's memory: one object per kind, namespace and name, with watches. Objects are kept and handed
 * out as they are, not copied: nobody may change them.
 *
 * Every watcher is told every change in the order of the changes, before `apply` or `delete` return; only a change made
 * by a handler is told after that handler has returned.
 */
export class ObjectStore {
  readonly #objects = new Map<Kind, Map<string, K8sObject>>();
  readonly #watchers = new Set<Watcher>();
  /** What still has to be told, oldest first. */
  readonly #untold: { event: WatchEvent; to: readonly Watcher[] }[] = [];
  #telling = false;
  #resourceVersion = 0;

  /** Counts changes: 0 when empty and new, one more for each object added, modified or deleted. */
  get resourceVersion(): number {
    return this.#resourceVersion;
  }

  /** Add the object, or put it in the place of the one with its name. One that changes nothing is no change. */
  apply(object: K8sObject): 'added' | 'modified' | 'unchanged' {
    const { kind, metadata } = object;
    const key = keyOf(metadata);
    const objects = this.#objects.get(kind) ?? new Map<string, K8sObject>();
    const old = objects.get(key);
    if (old !== undefined && isDeepStrictEqual(old, object)) return 'unchanged';
    this.#objects.set(kind, objects.set(key, object));
    const resourceVersion = ++this.#resourceVersion;
    if (old === undefined) this.#tellAll({ type: 'added', object, resourceVersion });
    else this.#tellAll({ type: 'modified', object, old, resourceVersion });
    return old === undefined ? 'added' : 'modified';
  }

  /** @returns whether there was such an object */
  delete(ref: ObjectRef): boolean {
    const object: K8sObject | undefined = this.get(ref);
    if (object === undefined) return false;
    this.#objects.get(ref.kind)?.delete(keyOf(ref));
    this.#tellAll({ type: 'deleted', object, resourceVersion: ++this.#resourceVersion });
    return true;
  }

  get<K extends Kind>(ref: ObjectRef<K>): ObjectOf<K> | undefined {
    return this.#objects.get(ref.kind)?.get(keyOf(ref)) as ObjectOf<K> | undefined;
  }

  /** All objects of a kind, in the order in which they were added. */
  list<K extends Kind>(kind: K): ObjectOf<K>[] {
    return [...(this.#objects.get(kind)?.values() ?? [])] as ObjectOf<K>[];
  }

  /**
   * First tells every object of these kinds that exists, as `added`, in the order of `kinds`; then every change.
   * @returns a function that ends the watch
   */
  watch<K extends Kind>(kinds: readonly K[], handler: (event: WatchEvent<ObjectOf<K>>) => void): () => void {
    // Only events of these kinds reach the handler.
    const watcher: Watcher = { kinds: new Set(kinds), handler: handler as Watcher['handler'] };
    this.#watchers.add(watcher);
    const resourceVersion = this.#resourceVersion;
    for (const object of kinds.flatMap((kind) => this.list(kind))) {
      this.#untold.push({ event: { type: 'added', object, resourceVersion }, to: [watcher] });
    }
    this.#tellUntold();
    return () => void this.#watchers.delete(watcher);
  }

  /** Tell those who watch now: who comes later finds the change already made. */
  #tellAll(event: WatchEvent): void {
    const to = [...this.#watchers].filter(({ kinds }) => kinds.has(event.object.kind));
    this.#untold.push({ event, to });
    this.#tellUntold();
  }

  #tellUntold(): void {
    if (this.#telling) return; // called by a handler: the loop below, further up the stack, comes to it
    this.#telling = true;
    try {
      for (let next = this.#untold.shift(); next !== undefined; next = this.#untold.shift()) {
        for (const watcher of next.to) if (this.#watchers.has(watcher)) watcher.handler(next.event);
      }
    } finally {
      this.#telling = false;
    }
  }
}

const keyOf = ({ namespace, name }: { namespace: string; name: string }): string => `${namespace}/${name}`;
