import { type Compare, type KeyValue, type LeasedKeys, type Lock, type Operation, valueText } from '@ciliate/kvstore';
import type { Labels } from '@ciliate/labels';
import { IdentityError } from './errors.ts';
import type { IdPool } from './id_pool.ts';
import { ID_PREFIX, isSlaveKeyOf, labelsToValue, masterKey, parseIdentity, slaveKey, slavePrefix } from './keys.ts';
import type { MasterKeys } from './master_keys.ts';
import type { IdentityRange, NumericIdentity } from './numeric.ts';

interface Parts {
  readonly masters: MasterKeys;
  readonly pool: IdPool;
  readonly leased: LeasedKeys;
  readonly range: IdentityRange;
  /** What this agent's slave keys end with. */
  readonly node: string;
}

/** What {@link KeyWriter} wrote: the number of the labels, and whether it is a new one. */
interface Written {
  readonly identity: NumericIdentity;
  readonly isNew: boolean;
}

/** Writes the keys of a label set, under its lock. Source: pkg/kvstore/allocator/allocator.go. */
export class KeyWriter {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Use the number known here, if its master key still says so. */
  async join(labels: Labels, lock: Lock): Promise<Written | undefined> {
    const identity = this.#parts.masters.get(labels);
    if (identity === undefined) return undefined;
    const { succeeded, revision } = await lock.txn({
      compare: [{ key: masterKey(identity), target: 'value', operator: '=', value: labelsToValue(labels) }],
      success: [this.#putSlave(labels, identity)],
    });
    if (!succeeded) return undefined;
    this.#parts.masters.learn(identity, labels, revision);
    return { identity, isNew: false };
  }

  /** One transaction, as long as the watch has told of all master keys and of nobody who uses these labels. */
  async create(labels: Labels, lock: Lock): Promise<Written> {
    const slaves = `${slavePrefix(labelsToValue(labels))}/`;
    const known = this.#parts.masters.knownRevision;
    const free = await this.#takeNumber();
    const { succeeded, revision, results } = await this.#tryMaster(free, labels, lock, {
      compare: [
        { prefix: ID_PREFIX, target: 'modRevision', operator: '<', number: known + 1 },
        { prefix: slaves, target: 'createRevision', operator: '=', number: 0 },
      ],
      failure: [
        { type: 'get', prefix: ID_PREFIX, minModRevision: known + 1 },
        { type: 'get', prefix: slaves },
      ],
    });
    if (succeeded) {
      this.#parts.masters.learnUpTo(revision);
      return { identity: free, isNew: true };
    }
    this.#parts.pool.release(free);
    this.#parts.masters.learnYounger(results[0]!.entries, revision);
    const joined = await this.join(labels, lock);
    if (joined !== undefined) return joined;
    // A slave key without its master key: the store lost data that some node still relies on. The number stays.
    const orphaned = identityInSlaveKeys(slaves, results[1]!.entries);
    const identity = orphaned ?? (await this.#takeNumber());
    // Nobody else gives these labels a number: the lock is held, and all that are older than it are known now.
    const second = await this.#tryMaster(identity, labels, lock, { compare: [], failure: [] });
    if (second.succeeded) return { identity, isNew: orphaned === undefined };
    this.#parts.pool.release(identity);
    throw new IdentityError('CONFLICT', 'another agent took the number first', { identity, revision });
  }

  /** Write master and slave key in one, unless the number is taken. */
  async #tryMaster(
    identity: NumericIdentity,
    labels: Labels,
    lock: Lock,
    { compare, failure }: { compare: readonly Compare[]; failure: readonly Operation[] },
  ) {
    const key = masterKey(identity);
    const put: Operation = { type: 'put', key, value: labelsToValue(labels) };
    try {
      const response = await lock.txn({
        compare: [{ key, target: 'createRevision', operator: '=', number: 0 }, ...compare],
        success: [put, this.#putSlave(labels, identity)],
        failure,
      });
      if (response.succeeded) this.#parts.masters.learn(identity, labels, response.revision);
      return response;
    } catch (error) {
      this.#parts.pool.release(identity);
      throw error;
    }
  }

  /** @throws IdentityError EXHAUSTED */
  async #takeNumber(): Promise<NumericIdentity> {
    const known = this.#parts.pool.lease();
    if (known !== undefined) return known;
    await this.#parts.masters.list(); // numbers may be free that the watch has not told of yet
    const free = this.#parts.pool.lease();
    if (free === undefined)
      throw new IdentityError('EXHAUSTED', 'no more available identities', { ...this.#parts.range });
    return free;
  }

  /** Writes the master key of labels that are in use, if it is lost. @throws IdentityError CONFLICT if the number is another's */
  async recreate(identity: NumericIdentity, labels: Labels, lock: Lock): Promise<void> {
    const value = labelsToValue(labels);
    const key = masterKey(identity);
    const { succeeded, results, revision } = await lock.txn({
      compare: [{ key, target: 'createRevision', operator: '=', number: 0 }],
      success: [{ type: 'put', key, value }],
      failure: [{ type: 'get', key }],
    });
    if (succeeded) this.#parts.masters.learn(identity, labels, revision);
    else if (valueText(results[0]!.entries[0]!) !== value) throw conflict(identity, labels);
  }

  #putSlave(labels: Labels, identity: NumericIdentity): Operation {
    const key = slaveKey(labelsToValue(labels), this.#parts.node);
    return { type: 'put', key, value: `${identity}`, leaseId: this.#parts.leased.leaseId };
  }
}

const conflict = (identity: NumericIdentity, labels: Labels): IdentityError =>
  new IdentityError('CONFLICT', 'the number in use here was given to other labels', { identity, labels: `${labels}` });

/** The number that the slave keys of these labels tell, of whichever node. @param slaves ends with a slash */
const identityInSlaveKeys = (slaves: string, entries: readonly KeyValue[]): NumericIdentity | undefined =>
  entries
    .filter((entry) => isSlaveKeyOf(slaves.slice(0, -1), entry.key))
    .map((entry) => parseIdentity(valueText(entry)))
    .find((identity) => identity !== undefined);
