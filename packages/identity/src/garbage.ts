import { type KeyValue, type KvstoreClient, type Lock, Locks, valueText } from '@ciliate/kvstore';
import { ID_PREFIX, isSlaveKeyOf, lockPath, masterKey, parseMasterKey, slavePrefix, VALUE_PREFIX } from './keys.ts';
import type { IdentityRange, NumericIdentity } from './numeric.ts';

/**
 * Deletes the master key of labels that no node uses.
 * @param lock of these labels, so that nobody begins to use them meanwhile
 * @param value the labels, as the master key has them
 * @param modRevision of the master key, if it must not have been written since
 * @returns the revision at which the number became free; undefined if it is in use, or another's
 * Source: pkg/kvstore/allocator/allocator.go, RunGC.
 */
export async function deleteUnused(
  identity: NumericIdentity,
  value: string,
  lock: Lock,
  modRevision?: number,
): Promise<number | undefined> {
  const prefix = slavePrefix(value);
  const { results } = await lock.txn({ compare: [], success: [{ type: 'get', prefix: `${prefix}/`, keysOnly: true }] });
  if (results[0]!.entries.some(({ key }) => isSlaveKeyOf(prefix, key))) return undefined;
  const key = masterKey(identity);
  const { succeeded, revision } = await lock.txn({
    compare: [
      { key, target: 'value', operator: '=', value },
      ...(modRevision === undefined
        ? []
        : [{ key, target: 'modRevision', operator: '=', number: modRevision } as const]),
    ],
    success: [{ type: 'delete', key }],
  });
  return succeeded ? revision : undefined;
}

/** What one round of {@link IdentityGc} found. */
export interface GcRound {
  /** Numbers that stay. */
  readonly alive: number;
  /** Of those, how many nobody uses: they go with the next round if that is still so. */
  readonly unused: number;
  /** Numbers that are free again. */
  readonly deleted: readonly NumericIdentity[];
}

/**
 * Frees numbers that no node uses in two rounds, one after the other, as Cilium's operator does (every 15 minutes). A
 * number is deleted under the lock of its labels, so any number of operators may run. Source: operator/identitygc.
 */
export class IdentityGc {
  readonly #client: KvstoreClient;
  readonly #range: IdentityRange;
  readonly #locks: Locks;
  /** Master keys without users in the round before, and their revisions. */
  #candidates: ReadonlyMap<string, number> = new Map();

  /** @param range of the local cluster; numbers of others are left alone */
  constructor(client: KvstoreClient, range: IdentityRange) {
    this.#client = client;
    this.#range = range;
    this.#locks = new Locks(client);
  }

  /** One round. @throws KvstoreError */
  async run(): Promise<GcRound> {
    const { results } = await this.#client.txn({
      compare: [],
      success: [
        { type: 'get', prefix: ID_PREFIX },
        { type: 'get', prefix: VALUE_PREFIX, keysOnly: true },
      ],
    });
    const inUse = new Set(results[1]!.entries.map(({ key }) => key.slice(0, key.lastIndexOf('/'))));
    const masters = results[0]!.entries.filter((entry) => this.#isOurs(entry));
    const candidates = new Map<string, number>();
    const deleted: NumericIdentity[] = [];
    for (const entry of masters) {
      if (inUse.has(slavePrefix(valueText(entry)))) continue;
      const before = this.#candidates.get(entry.key);
      if (before === undefined) candidates.set(entry.key, entry.modRevision);
      // Another revision: it was used in between, and will be a candidate in the next round.
      else if (before === entry.modRevision && (await this.#delete(entry))) deleted.push(parseMasterKey(entry.key)!);
    }
    this.#candidates = candidates;
    return { alive: masters.length - deleted.length, unused: candidates.size, deleted };
  }

  #isOurs({ key }: KeyValue): boolean {
    const identity = parseMasterKey(key);
    return identity !== undefined && identity >= this.#range.min && identity <= this.#range.max;
  }

  async #delete(entry: KeyValue): Promise<boolean> {
    const value = valueText(entry);
    const lock = await this.#locks.lock(lockPath(value));
    try {
      return (await deleteUnused(parseMasterKey(entry.key)!, value, lock, entry.modRevision)) !== undefined;
    } finally {
      await lock.unlock();
    }
  }
}
