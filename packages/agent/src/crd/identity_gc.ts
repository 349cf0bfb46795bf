import { type CiliumIdentity, HEARTBEAT_ANNOTATION, type ObjectStore } from '@ciliate/k8s';

/** Cilium's `--identity-heartbeat-timeout`: twice the time to live of a lease. */
const HEARTBEAT_TIMEOUT_MS = 2 * 900_000;

export interface CrdIdentityGcOptions {
  readonly store: ObjectStore;
  /** Since 1970. */
  readonly nowMs: () => number;
  readonly heartbeatTimeoutMs?: number;
}

/** What one round did, by the names of identities. */
export interface CrdGcRound {
  readonly alive: number;
  readonly marked: readonly string[];
  readonly deleted: readonly string[];
}

/**
 * The operator's loop that deletes CiliumIdentities that nobody uses (every 15 minutes). One lives by the CiliumEndpoints that
 * name it, and for the time-out after its last sign of life, which each change of the object is too. Then it is marked with
 * an annotation; if it is still so a time-out later, for marking was a change, it is deleted.
 * Source: operator/identitygc/crd_gc.go, heartbeat.go.
 */
export class CrdIdentityGc {
  readonly #store: ObjectStore;
  readonly #nowMs: () => number;
  readonly #timeoutMs: number;
  /** Name → when it was alive last. */
  readonly #lifesigns = new Map<string, number>();
  readonly #unwatch: () => void;

  constructor({ store, nowMs, heartbeatTimeoutMs = HEARTBEAT_TIMEOUT_MS }: CrdIdentityGcOptions) {
    this.#store = store;
    this.#nowMs = nowMs;
    this.#timeoutMs = heartbeatTimeoutMs;
    this.#unwatch = store.watch(['CiliumIdentity'], ({ type, object: { metadata } }) => {
      if (type === 'deleted') this.#lifesigns.delete(metadata.name);
      else this.#lifesigns.set(metadata.name, nowMs());
    });
  }

  /** One round. */
  run(): CrdGcRound {
    const now = this.#nowMs();
    const used = new Set(this.#store.list('CiliumEndpoint').map(({ status }) => `${status.identity}`));
    const [marked, deleted]: [string[], string[]] = [[], []];
    const identities = this.#store.list('CiliumIdentity');
    for (const identity of identities) {
      const { name } = identity.metadata;
      if (used.has(name)) this.#lifesigns.set(name, now);
      if (now - this.#lifesigns.get(name)! < this.#timeoutMs) continue;
      if (identity.metadata.annotations[HEARTBEAT_ANNOTATION] === undefined) {
        this.#mark(identity, now);
        marked.push(name);
      } else {
        this.#store.delete({ kind: 'CiliumIdentity', namespace: '', name });
        deleted.push(name);
      }
    }
    return { alive: identities.length - deleted.length, marked, deleted };
  }

  close(): void {
    this.#unwatch();
  }

  #mark(identity: CiliumIdentity, now: number): void {
    const annotations = { ...identity.metadata.annotations, [HEARTBEAT_ANNOTATION]: new Date(now).toISOString() };
    this.#store.apply({ ...identity, metadata: { ...identity.metadata, annotations } });
  }
}
