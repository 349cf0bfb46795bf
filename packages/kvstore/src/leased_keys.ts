import { type KvstoreClient, type LeaseId, NO_LEASE } from './client.ts';
import { KvstoreError } from './errors.ts';
import { Mutex } from './mutex.ts';

/** Cilium's time to live of the keys of an agent that is silent. Source: pkg/defaults, KVstoreLeaseTTL. */
export const LEASE_TTL_SECONDS = 900;

/**
 * The keys of an agent that go when it is silent for long: all on one lease. What this object says is theirs is theirs:
 * keys that others took away, or that went with the lease, are written again.
 * Source: pkg/kvstore/etcd_lease.go, pkg/kvstore/store (SharedStore).
 */
export class LeasedKeys {
  readonly #client: KvstoreClient;
  readonly #ttlSeconds: number;
  readonly #values = new Map<string, string>();
  /** One at a time: what is taken back is not written again by what began before. */
  readonly #turn = new Mutex();
  #leaseId: LeaseId = NO_LEASE;
  /** Keys on the lease that nobody said are theirs, as of the last {@link sync}. */
  #strays: ReadonlySet<string> = new Set();

  private constructor(client: KvstoreClient, ttlSeconds: number) {
    this.#client = client;
    this.#ttlSeconds = ttlSeconds;
  }

  static async open(client: KvstoreClient, ttlSeconds = LEASE_TTL_SECONDS): Promise<LeasedKeys> {
    const keys = new LeasedKeys(client, ttlSeconds);
    keys.#leaseId = await client.leaseGrant(ttlSeconds);
    return keys;
  }

  /** For those who write such a key in a transaction of their own; follow with {@link track}. */
  get leaseId(): LeaseId {
    return this.#leaseId;
  }

  /** A transaction wrote the key with this lease. */
  track(key: string, value: string): void {
    this.#values.set(key, value);
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  /** Resolves when the key stands in the store. If that fails, {@link sync} will try again. */
  put(key: string, value: string): Promise<void> {
    return this.#turn.run(async () => {
      this.#values.set(key, value);
      await this.#write(key, value);
    });
  }

  /** Takes the key back, unless it is another's by now. */
  delete(key: string): Promise<void> {
    return this.#turn.run(async () => {
      this.#values.delete(key);
      await this.#drop(key);
    });
  }

  /**
   * Writes every key that the store does not have as it was written. Keys on the lease that nobody tracks, twice in a
   * row, are left over from writes whose outcome was unknown: they are deleted.
   */
  sync(): Promise<void> {
    return this.#turn.run(async () => {
      await this.#restore([...this.#values.keys()]);
      const { keys = [] } = (await this.#client.leaseInfo(this.#leaseId)) ?? {};
      const strays = new Set(keys.filter((key) => !this.#values.has(key)));
      for (const key of strays) if (this.#strays.has(key)) await this.#drop(key);
      this.#strays = strays;
    });
  }

  /** As {@link sync}, of one key; does nothing if it was taken back meanwhile. */
  restore(key: string): Promise<void> {
    return this.#turn.run(() => this.#restore([key]));
  }

  /** Call well within the time to live. If the lease is gone all keys are written again, on a new one. */
  keepAlive(): Promise<void> {
    return this.#turn.run(async () => {
      try {
        await this.#client.leaseKeepAlive(this.#leaseId);
      } catch (error) {
        if (!isLeaseLost(error)) throw error;
        await this.#renew();
      }
    });
  }

  /** All keys go at once: who wrote them is gone for good. */
  revoke(): Promise<void> {
    return this.#turn.run(async () => {
      this.#values.clear();
      try {
        await this.#client.leaseRevoke(this.#leaseId);
      } catch (error) {
        if (!isLeaseLost(error)) throw error;
      }
    });
  }

  async #drop(key: string): Promise<void> {
    await this.#client.txn({
      compare: [{ key, target: 'lease', operator: '=', leaseId: this.#leaseId }],
      success: [{ type: 'delete', key }],
    });
  }

  async #restore(keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      const value = this.#values.get(key);
      if (value !== undefined) await this.#write(key, value);
    }
  }

  /** Writes what is not so already. */
  async #write(key: string, value: string): Promise<void> {
    const leaseId = this.#leaseId;
    try {
      await this.#client.txn({
        compare: [
          { key, target: 'value', operator: '=', value },
          { key, target: 'lease', operator: '=', leaseId },
        ],
        success: [],
        failure: [{ type: 'put', key, value, leaseId }],
      });
    } catch (error) {
      if (!isLeaseLost(error)) throw error;
      await this.#renew();
    }
  }

  async #renew(): Promise<void> {
    this.#leaseId = await this.#client.leaseGrant(this.#ttlSeconds);
    for (const [key, value] of this.#values) await this.#client.put(key, value, { leaseId: this.#leaseId });
  }
}

const isLeaseLost = (error: unknown): boolean => error instanceof KvstoreError && error.code === 'LEASE_NOT_FOUND';
