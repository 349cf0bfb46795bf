import {
  type KeyValue,
  type KvstoreClient,
  KvstoreError,
  valueText,
  type Watch,
  type WatchEvent,
} from '@ciliate/kvstore';
import type { Labels } from '@ciliate/labels';
import type { IdPool } from './id_pool.ts';
import type { IdentityCache } from './identity_cache.ts';
import { ID_PREFIX, labelsToValue, parseMasterKey, valueToLabels } from './keys.ts';
import type { NumericIdentity } from './numeric.ts';
import type { IdentityEntry } from './reserved.ts';

/** The identities in the store, in the order of their numbers. @throws KvstoreError */
export async function readIdentities(client: KvstoreClient): Promise<IdentityEntry[]> {
  const { entries } = await client.getPrefix(ID_PREFIX);
  return entries
    .flatMap((entry): IdentityEntry[] => {
      const identity = parseMasterKey(entry.key);
      const value = valueText(entry);
      return identity === undefined || value === '' ? [] : [[identity, valueToLabels(value)]];
    })
    .sort(([a], [b]) => a - b);
}

/** Master keys that this agent relies on are not forgotten when the store loses them. */
export interface MasterKeyProtection {
  isInUse(labels: Labels, identity: NumericIdentity): boolean;
  /** The master key of such labels is gone. */
  onLost(labels: Labels): void;
}

/**
 * An agent's copy of the master keys in the store, kept by a watch. It may lag behind; what the agent itself writes or
 * lists is in it at once. The pool of free numbers and the identity cache follow it.
 */
export class MasterKeys {
  readonly #client: KvstoreClient;
  readonly #cache: IdentityCache;
  readonly #pool: IdPool;
  readonly #protection: MasterKeyProtection;
  readonly #byLabels = new Map<string, NumericIdentity>();
  /** The revision of each master key as known here. */
  readonly #revisions = new Map<NumericIdentity, number>();
  /** Everything up to this revision is known; events that are older tell of a past that is over. */
  #listedAt = 0;
  #knownRevision = 0;
  #watch: Watch | undefined;
  #following: Promise<void> = Promise.resolve();
  #isClosed = false;
  #failure: unknown;

  constructor(client: KvstoreClient, cache: IdentityCache, pool: IdPool, protection: MasterKeyProtection) {
    this.#protection = protection;
    this.#client = client;
    this.#cache = cache;
    this.#pool = pool;
  }

  /** Resolves when everything in the store is known here; then follows it. */
  async open(): Promise<void> {
    await this.list();
    this.#following = this.#follow().catch((error: unknown) => {
      this.#failure = error;
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#watch?.close();
    await this.#following;
  }

  /** Why the store is no longer followed; undefined while it is. */
  get failure(): unknown {
    return this.#failure;
  }

  get(labels: Labels): NumericIdentity | undefined {
    return this.#byLabels.get(labelsToValue(labels));
  }

  /** The agent wrote this master key, or joined it. @param revision of the store when it stood there for sure */
  learn(identity: NumericIdentity, labels: Labels, revision: number): void {
    const before = this.#cache.get(identity);
    if (before !== undefined && !before.equals(labels)) this.#byLabels.delete(labelsToValue(before));
    this.#revisions.set(identity, revision);
    this.#byLabels.set(labelsToValue(labels), identity);
    this.#pool.remove(identity);
    this.#cache.add(identity, labels);
  }

  /** The agent deleted this master key. @param revision of the store when it did: what it tells of earlier is over */
  retire(identity: NumericIdentity, revision: number): void {
    this.#forget(identity);
    this.#revisions.set(identity, revision);
  }

  /** Every master key that was put up to this revision of the store is known here; that one was deleted perhaps not. */
  get knownRevision(): number {
    return this.#knownRevision;
  }

  /** Nothing was put since {@link knownRevision} but what is known here. @param revision of the store when that was so */
  learnUpTo(revision: number): void {
    this.#knownRevision = Math.max(this.#knownRevision, revision);
  }

  /** @param entries all that were put since {@link knownRevision}, as of `revision` */
  learnYounger(entries: readonly KeyValue[], revision: number): void {
    for (const entry of entries) this.#apply({ type: 'put', entry });
    this.learnUpTo(revision);
  }

  /** Read all from the store. */
  async list(): Promise<void> {
    const { entries, revision } = await this.#client.getPrefix(ID_PREFIX);
    if (revision <= this.#listedAt) return;
    const listed = new Set(entries.map((entry) => parseMasterKey(entry.key)));
    for (const entry of entries) this.#apply({ type: 'put', entry });
    for (const [identity, known] of [...this.#revisions])
      if (!listed.has(identity) && known <= revision) this.#lose(identity);
    this.#listedAt = revision;
    this.learnUpTo(revision);
  }

  async #follow(): Promise<void> {
    while (!this.#isClosed) {
      this.#watch = this.#client.watch({ prefix: ID_PREFIX, fromRevision: this.#listedAt + 1 });
      try {
        for await (const events of this.#watch) {
          for (const event of events) this.#apply(event);
          this.learnUpTo(events.at(-1)!.entry.modRevision);
        }
      } catch (error) {
        if (!(error instanceof KvstoreError && error.code === 'COMPACTED')) throw error;
        await this.list();
      }
    }
  }

  #apply({ type, entry }: WatchEvent): void {
    const identity = parseMasterKey(entry.key);
    if (identity === undefined || entry.modRevision <= this.#listedAt) return;
    if (entry.modRevision <= (this.#revisions.get(identity) ?? 0)) return;
    const value = valueText(entry);
    if (type === 'delete') this.#lose(identity);
    else if (value !== '') this.learn(identity, valueToLabels(value), entry.modRevision); // empty: no allocator's work
  }

  /** The store has no such master key any more. */
  #lose(identity: NumericIdentity): void {
    const labels = this.#cache.get(identity);
    if (labels !== undefined && this.#protection.isInUse(labels, identity)) this.#protection.onLost(labels);
    else this.#forget(identity);
  }

  #forget(identity: NumericIdentity): void {
    const labels = this.#cache.get(identity);
    if (labels !== undefined && this.get(labels) === identity) this.#byLabels.delete(labelsToValue(labels));
    this.#revisions.delete(identity);
    this.#cache.remove(identity);
    this.#pool.insert(identity);
  }
}
