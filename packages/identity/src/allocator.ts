import { setTimeout as sleep } from 'node:timers/promises';
import { KeyedMutex, type KvstoreClient, KvstoreError, LeasedKeys, Locks } from '@ciliate/kvstore';
import type { Labels } from '@ciliate/labels';
import { IdentityError } from './errors.ts';
import { deleteUnused } from './garbage.ts';
import { IdPool } from './id_pool.ts';
import type { IdentityCache } from './identity_cache.ts';
import { KeyWriter } from './key_writer.ts';
import { labelsToValue, lockPath, slaveKey } from './keys.ts';
import { MasterKeys } from './master_keys.ts';
import { type IdentityRange, identityRange, type NumericIdentity, SCOPE_GLOBAL } from './numeric.ts';
import { scopeForLabels } from './reserved.ts';

const MAX_ATTEMPTS = 16;
const FIRST_BACKOFF_MS = 20;

export interface IdentityAllocatorOptions {
  client: KvstoreClient;
  /** Kept up to date with the store: the identities of all agents. Belongs to this allocator alone. */
  cache: IdentityCache;
  /** What this agent's slave keys end with; unique on the store and without slashes: in Cilium the node's address. */
  node: string;
  /** In [0, 1); chooses among the free numbers: 0 is the lowest. */
  random: () => number;
  /** Default: the global identities of cluster 0. */
  range?: IdentityRange;
  /** Between attempts. Default: real time. */
  waitMs?: (milliseconds: number) => Promise<void>;
  /** Told of what went wrong behind the back of every call. */
  onProblem?: (error: unknown) => void;
}

export interface Allocation {
  identity: NumericIdentity;
  /** This call took a new number. */
  isNew: boolean;
}

interface LocalUse {
  readonly identity: NumericIdentity;
  readonly labels: Labels;
  references: number;
}

/** Gives label sets their numbers, and counts who uses them here. */
export interface Allocator {
  /**
   * The number for these labels; one more user of it here. Reserved and well-known labels need no store and no release.
   * @throws IdentityError EXHAUSTED, UNSUPPORTED (identities local to a node), INVALID (no labels), CONFLICT,
   * OUT_OF_SYNC; KvstoreError
   */
  allocate(labels: Labels): Promise<Allocation>;
  /** One user less. @returns whether it was the last one here. @throws IdentityError NOT_ALLOCATED */
  release(labels: Labels): Promise<boolean>;
  /** The number of these labels, if they need none allocated or some agent allocated it and this one knows of it. */
  lookup(labels: Labels): NumericIdentity | undefined;
}

/**
 * Numbers for label sets, such that all agents on one store agree: one label set, one number.
 *
 * A number belongs to a label set from the moment its master key stands in the store. Each agent counts the users of a
 * label set in itself and has one slave key for all of them; the last user's release deletes the slave key. The master
 * key stays, so the number is found again and never given to others while it stands.
 *
 * Everything about a label set is decided under its lock, and every write is conditional on the lock and on the master
 * key. Cilium trusts its watch to know the master keys of labels that nobody uses at the moment; here a new number is
 * taken only if no master key is younger than what the watch told, so that a slow one cannot give a label set a second.
 *
 * A master key that is lost while somebody here uses the number is written again.
 * Source: pkg/allocator/allocator.go, pkg/kvstore/allocator/allocator.go.
 */
export class IdentityAllocator implements Allocator {
  readonly #cache: IdentityCache;
  readonly #node: string;
  readonly #waitMs: (milliseconds: number) => Promise<unknown>;
  readonly #masters: MasterKeys;
  readonly #keys: KeyWriter;
  readonly #locks: Locks;
  /** One at a time for each label set: a slave key is not deleted by a release while an allocation relies on it. */
  readonly #slaveKeys = new KeyedMutex();
  readonly #inUse = new Map<string, LocalUse>();
  readonly #leased: LeasedKeys;
  readonly #onProblem: (error: unknown) => void;

  private constructor(options: IdentityAllocatorOptions, leased: LeasedKeys) {
    const { client, cache, node, random, range = identityRange() } = options;
    this.#leased = leased;
    this.#onProblem = options.onProblem ?? (() => {});
    this.#cache = cache;
    this.#node = node;
    this.#waitMs = options.waitMs ?? sleep;
    const pool = new IdPool(range, random);
    this.#masters = new MasterKeys(client, cache, pool, {
      isInUse: (labels, identity) => this.#inUse.get(labelsToValue(labels))?.identity === identity,
      onLost: (labels) => void this.#recreate(labels).catch(this.#onProblem),
    });
    this.#keys = new KeyWriter({ masters: this.#masters, pool, leased, range, node });
    this.#locks = new Locks(client);
  }

  /** Resolves when the identities in the store are known here. */
  static async open(options: IdentityAllocatorOptions): Promise<IdentityAllocator> {
    const allocator = new IdentityAllocator(options, await LeasedKeys.open(options.client));
    await allocator.#masters.open();
    return allocator;
  }

  async allocate(labels: Labels): Promise<Allocation> {
    const reserved = this.#cache.reserved.lookup(labels);
    if (reserved !== undefined) return { identity: reserved, isNew: false };
    if (labels.size === 0) throw new IdentityError('INVALID', 'an identity needs at least one label');
    if (scopeForLabels(labels) !== SCOPE_GLOBAL) {
      throw new IdentityError('UNSUPPORTED', 'identities local to a node are not supported yet', {
        labels: `${labels}`,
      });
    }
    for (let attempt = 0; ; attempt++) {
      if (this.#masters.failure !== undefined) {
        const options = { cause: this.#masters.failure };
        throw new IdentityError('OUT_OF_SYNC', 'the identities in the store are no longer followed', {}, options);
      }
      try {
        return this.#reuse(labels) ?? (await this.#allocateLocked(labels));
      } catch (error) {
        if (!isWorthRetrying(error) || attempt + 1 === MAX_ATTEMPTS) throw error;
        if (error instanceof KvstoreError && error.code === 'LEASE_NOT_FOUND') await this.keepAlive();
        await this.#waitMs(FIRST_BACKOFF_MS * 2 ** attempt);
      }
    }
  }

  async release(labels: Labels): Promise<boolean> {
    if (this.#cache.reserved.lookup(labels) !== undefined) return false;
    const name = labelsToValue(labels);
    return this.#slaveKeys.run(name, async () => {
      const use = this.#inUse.get(name);
      if (use === undefined) {
        throw new IdentityError('NOT_ALLOCATED', 'labels are not in use here', { labels: `${labels}` });
      }
      if (--use.references > 0) return false;
      this.#inUse.delete(name);
      await this.#leased.delete(slaveKey(name, this.#node));
      return true;
    });
  }

  /**
   * Frees the number of labels that no agent uses any more.
   * @returns the number; undefined if somebody uses it, or there is none to free
   * @throws KvstoreError
   */
  async collect(labels: Labels): Promise<NumericIdentity | undefined> {
    if (this.#cache.reserved.lookup(labels) !== undefined) return undefined;
    const identity = this.#masters.get(labels);
    if (identity === undefined) return undefined;
    const value = labelsToValue(labels);
    const lock = await this.#locks.lock(lockPath(value));
    try {
      const revision = await deleteUnused(identity, value, lock);
      if (revision === undefined) return undefined;
      this.#masters.retire(identity, revision);
      return identity;
    } finally {
      await lock.unlock();
    }
  }

  lookup(labels: Labels): NumericIdentity | undefined {
    return this.#cache.reserved.lookup(labels) ?? this.#masters.get(labels);
  }

  /**
   * Call well within 900 s of the store's time: a node that is silent so long loses its slave keys. If that has
   * happened, they are written again.
   */
  async keepAlive(): Promise<void> {
    await this.#leased.keepAlive();
  }

  /** Writes again what of this agent's keys the store has lost, and nobody told. Cilium does so every 5 minutes. */
  async sync(): Promise<void> {
    for (const { labels } of [...this.#inUse.values()]) await this.#recreate(labels);
    await this.#leased.sync();
  }

  /**
   * Stop following the store.
   * @param isGone true: the slave keys go now; otherwise with the lease, so that an agent may restart
   */
  async close({ isGone = false } = {}): Promise<void> {
    await this.#masters.close();
    if (isGone) await this.#leased.revoke();
  }

  #reuse(labels: Labels): Allocation | undefined {
    const use = this.#inUse.get(labelsToValue(labels));
    if (use === undefined) return undefined;
    use.references++;
    return { identity: use.identity, isNew: false };
  }

  async #allocateLocked(labels: Labels): Promise<Allocation> {
    const value = labelsToValue(labels);
    const lock = await this.#locks.lock(lockPath(value));
    try {
      return await this.#slaveKeys.run(value, async () => {
        const reused = this.#reuse(labels); // another caller here may have been first at the lock
        if (reused !== undefined) return reused;
        const allocation = (await this.#keys.join(labels, lock)) ?? (await this.#keys.create(labels, lock));
        this.#inUse.set(value, { identity: allocation.identity, labels, references: 1 });
        this.#leased.track(slaveKey(value, this.#node), `${allocation.identity}`);
        return allocation;
      });
    } finally {
      await lock.unlock();
    }
  }

  /** Writes the master key of labels in use here, if it is lost. @throws IdentityError CONFLICT if the number is another's */
  async #recreate(labels: Labels): Promise<void> {
    const lock = await this.#locks.lock(lockPath(labelsToValue(labels)));
    try {
      const identity = this.#inUse.get(labelsToValue(labels))?.identity;
      if (identity !== undefined) await this.#keys.recreate(identity, labels, lock); // else released meanwhile
    } finally {
      await lock.unlock();
    }
  }
}

/** Losing a race, a lock or the lease says nothing about the next attempt. */
function isWorthRetrying(error: unknown): boolean {
  if (error instanceof IdentityError) return error.code === 'CONFLICT';
  return error instanceof KvstoreError && (error.code === 'LOCK_LOST' || error.code === 'LEASE_NOT_FOUND');
}
