import { type Bucket, keyOf, type MapStateView } from './mapstate.ts';
import { type MapStateValue, sameForDatapath } from './types/entry.ts';
import type { MapStateKey } from './types/key.ts';

/** Keys that are new or, for the datapath, different; and keys that are gone. */
export interface MapStateChanges {
  readonly adds: readonly MapStateKey[];
  readonly deletes: readonly MapStateKey[];
}

/** The keys that a round of changes touched, with what they were before. */
export class ChangeSet {
  readonly #before = new Map<number, { bucket: Bucket; identity: number; value: MapStateValue | undefined }>();

  touch(bucket: Bucket, identity: number, value: MapStateValue | undefined): void {
    const id = identity * 2 ** 20 + bucket.index;
    if (!this.#before.has(id)) this.#before.set(id, { bucket, identity, value });
  }

  summary(): MapStateChanges {
    const adds: MapStateKey[] = [];
    const deletes: MapStateKey[] = [];
    for (const { bucket, identity, value: before } of this.#before.values()) {
      const now = bucket.byIdentity.get(identity);
      if (now === undefined) {
        if (before !== undefined) deletes.push(keyOf(bucket, identity));
      } else if (before === undefined || !sameForDatapath(before, now)) adds.push(keyOf(bucket, identity));
    }
    return { adds, deletes };
  }
}

/** What must be done to one map state to make it another. */
export function mapStateChanges(before: MapStateView, after: MapStateView): MapStateChanges {
  const valueIn = (state: MapStateView, { egress, identity, protocol, dport, portPrefixLen }: MapStateKey) =>
    state.valueAt(egress, identity, protocol, dport, portPrefixLen);
  const adds: MapStateKey[] = [];
  const deletes: MapStateKey[] = [];
  for (const { key } of after) {
    const old = valueIn(before, key);
    if (old === undefined || !sameForDatapath(old, valueIn(after, key)!)) adds.push(key);
  }
  for (const { key } of before) if (valueIn(after, key) === undefined) deletes.push(key);
  return { adds, deletes };
}
