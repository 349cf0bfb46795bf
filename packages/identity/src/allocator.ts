import { setTimeout as sleep } from 'node:timers/promises';
import {
  type KeyValue,
  type KvstoreClient,
  KvstoreError,
  type LeaseId,
  type Lock,
  Locks,
  NO_LEASE,
  type Operation,
  valueText,
} from '@ciliate/kvstore';
import type { Labels } from '@ciliate/labels';
import { IdentityError } from './errors.ts';
import { deleteUnused } from './garbage.ts';
import { IdPool } from './id_pool.ts';
import type { IdentityCache } from './identity_cache.ts';
import {
  ID_PREFIX,
  isSlaveKeyOf,
  labelsToValue,
  lockPath,
  masterKey,
  parseIdentity,
  slaveKey,
  slavePrefix,
} from './keys.ts';
import { MasterKeys } from './master_keys.ts';
import { Mutex } from './mutex.ts';
import { type IdentityRange, identityRange, type NumericIdentity, SCOPE_GLOBAL } from './numeric.ts';
import { scopeForLabels } from './reserved.ts';

const LEASE_TTL_SECONDS = 900;
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

/**
 * Numbers for label sets, such that all agents on one store agree: one label set, one number.
 *
 * A number belongs to a label set from the moment its master key stands in the store. Each agent counts the users of a
 * label set in itself and has one slave key for all of them; the last user's release deletes the slave key. The master
 * key stays, so the number is found again and never given to others while it stands.
 *
 * Everything about a label set is decided under its lock, and every write is conditional on the lock and on the master
 * key. Cilium trusts its watch to know the master keys of labels that nobody uses at the moment; here they are listed
 * before a new number is taken, so that a slow watch cannot give a label set a second one.
 * Source: pkg/allocator/allocator.go, pkg/kvstore/allocator/allocator.go.
 */
export class IdentityAllocator {
  readonly #client: KvstoreClient;
  readonly #cache: IdentityCache;
  readonly #node: string;
  readonly #range: IdentityRange;
  readonly #waitMs: (milliseconds: number) => Promise<unknown>;
  readonly #pool: IdPool;
  readonly #masters: MasterKeys;
  readonly #locks: Locks;
  /** One at a time: a slave key is not deleted by a release while an allocation relies on it. */
  readonly #slaveKeys = new Mutex();
  readonly #inUse = new Map<string, LocalUse>();
  #leaseId: LeaseId = NO_LEASE;

  private constructor(options: IdentityAllocatorOptions) {
    this.#client = options.client;
    this.#cache = options.cache;
    this.#node = options.node;
    this.#range = options.range ?? identityRange();
    this.#waitMs = options.waitMs ?? sleep;
    this.#pool = new IdPool(this.#range, options.random);
    this.#masters = new MasterKeys(options.client, options.cache, this.#pool);
    this.#locks = new Locks(options.client);
  }

  /** Resolves when the identities in the store are known here. */
  static async open(options: IdentityAllocatorOptions): Promise<IdentityAllocator> {
    const allocator = new IdentityAllocator(options);
    allocator.#leaseId = await options.client.leaseGrant(LEASE_TTL_SECONDS);
    await allocator.#masters.open();
    return allocator;
  }

  /**
   * The number for these labels; one more user of it here. Reserved and well-known labels need no store and no release.
   * @throws IdentityError EXHAUSTED, UNSUPPORTED (identities local to a node), INVALID (no labels), CONFLICT,
   * OUT_OF_SYNC; KvstoreError
   */
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

  /** One user less. @returns whether it was the last one here. @throws IdentityError NOT_ALLOCATED */
  async release(labels: Labels): Promise<boolean> {
    if (this.#cache.reserved.lookup(labels) !== undefined) return false;
    return this.#slaveKeys.run(async () => {
      const name = labelsToValue(labels);
      const use = this.#inUse.get(name);
      if (use === undefined) {
        throw new IdentityError('NOT_ALLOCATED', 'labels are not in use here', { labels: `${labels}` });
      }
      if (--use.references > 0) return false;
      this.#inUse.delete(name);
      await this.#client.delete(slaveKey(labels, this.#node));
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
    const lock = await this.#locks.lock(lockPath(labels));
    try {
      return await deleteUnused(labels, this.#masters, lock);
    } finally {
      await lock.unlock();
    }
  }

  /** The number of these labels, if they need none allocated or some agent allocated it and the store told of it. */
  lookup(labels: Labels): NumericIdentity | undefined {
    return this.#cache.reserved.lookup(labels) ?? this.#masters.get(labels);
  }

  /**
   * Call well within 900 s of the store's time: a node that is silent so long loses its slave keys. If that has
   * happened, they are written again.
   */
  async keepAlive(): Promise<void> {
    try {
      await this.#client.leaseKeepAlive(this.#leaseId);
      return;
    } catch (error) {
      if (!(error instanceof KvstoreError && error.code === 'LEASE_NOT_FOUND')) throw error;
    }
    await this.#slaveKeys.run(async () => {
      this.#leaseId = await this.#client.leaseGrant(LEASE_TTL_SECONDS);
      for (const { labels, identity } of this.#inUse.values()) {
        await this.#client.put(slaveKey(labels, this.#node), `${identity}`, { leaseId: this.#leaseId });
      }
    });
  }

  /** Stop following the store. Slave keys stay until the lease ends, so that an agent may restart. */
  async close(): Promise<void> {
    await this.#masters.close();
  }

  #reuse(labels: Labels): Allocation | undefined {
    const use = this.#inUse.get(labelsToValue(labels));
    if (use === undefined) return undefined;
    use.references++;
    return { identity: use.identity, isNew: false };
  }

  async #allocateLocked(labels: Labels): Promise<Allocation> {
    const lock = await this.#locks.lock(lockPath(labels));
    try {
      return await this.#slaveKeys.run(async () => {
        const reused = this.#reuse(labels); // another caller here may have been first at the lock
        if (reused !== undefined) return reused;
        const allocation = (await this.#join(labels, lock)) ?? (await this.#listAndJoinOrCreate(labels, lock));
        this.#inUse.set(labelsToValue(labels), { identity: allocation.identity, labels, references: 1 });
        return allocation;
      });
    } finally {
      await lock.unlock();
    }
  }

  /** Use the number known here, if its master key still says so. */
  async #join(labels: Labels, lock: Lock): Promise<Allocation | undefined> {
    const identity = this.#masters.get(labels);
    if (identity === undefined) return undefined;
    const { succeeded, revision } = await lock.txn({
      compare: [{ key: masterKey(identity), target: 'value', operator: '=', value: labelsToValue(labels) }],
      success: [this.#putSlave(labels, identity)],
    });
    if (!succeeded) return undefined;
    this.#masters.learn(identity, labels, revision);
    return { identity, isNew: false };
  }

  async #listAndJoinOrCreate(labels: Labels, lock: Lock): Promise<Allocation> {
    const prefix = slavePrefix(labels);
    const { results, revision } = await lock.txn({
      compare: [],
      success: [
        { type: 'get', prefix: ID_PREFIX },
        { type: 'get', prefix: `${prefix}/` },
      ],
    });
    this.#masters.refresh(results[0]!.entries, revision);
    const joined = await this.#join(labels, lock);
    if (joined !== undefined) return joined;
    // A slave key without its master key: the store lost data that some node still relies on. The number stays.
    const orphaned = identityInSlaveKeys(prefix, results[1]!.entries);
    if (orphaned !== undefined) return { identity: await this.#create(orphaned, labels, lock), isNew: false };
    const free = this.#pool.lease();
    if (free === undefined) throw new IdentityError('EXHAUSTED', 'no more available identities', { ...this.#range });
    try {
      return { identity: await this.#create(free, labels, lock), isNew: true };
    } catch (error) {
      this.#pool.release(free);
      throw error;
    }
  }

  /** Write master and slave key in one, unless the number is taken. */
  async #create(identity: NumericIdentity, labels: Labels, lock: Lock): Promise<NumericIdentity> {
    const key = masterKey(identity);
    const { succeeded, revision } = await lock.txn({
      compare: [{ key, target: 'createRevision', operator: '=', number: 0 }],
      success: [{ type: 'put', key, value: labelsToValue(labels) }, this.#putSlave(labels, identity)],
    });
    if (!succeeded) throw new IdentityError('CONFLICT', 'another agent took the number first', { identity });
    this.#masters.learn(identity, labels, revision);
    return identity;
  }

  #putSlave(labels: Labels, identity: NumericIdentity): Operation {
    return { type: 'put', key: slaveKey(labels, this.#node), value: `${identity}`, leaseId: this.#leaseId };
  }
}

/** The number that the slave keys of these labels tell, of whichever node. */
const identityInSlaveKeys = (prefix: string, entries: readonly KeyValue[]): NumericIdentity | undefined =>
  entries
    .filter((entry) => isSlaveKeyOf(prefix, entry.key))
    .map((entry) => parseIdentity(valueText(entry)))
    .find((identity) => identity !== undefined);

/** Losing a race, a lock or the lease says nothing about the next attempt. */
function isWorthRetrying(error: unknown): boolean {
  if (error instanceof IdentityError) return error.code === 'CONFLICT';
  return error instanceof KvstoreError && (error.code === 'LOCK_LOST' || error.code === 'LEASE_NOT_FOUND');
}
