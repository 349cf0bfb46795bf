import type { Lock } from '@ciliate/kvstore';
import type { Labels } from '@ciliate/labels';
import { isSlaveKeyOf, labelsToValue, masterKey, slavePrefix } from './keys.ts';
import type { MasterKeys } from './master_keys.ts';
import type { NumericIdentity } from './numeric.ts';

/**
 * Deletes the master key of labels that no node uses. In Cilium the operator does, some time after the last use.
 * @param lock of these labels, so that nobody begins to use them meanwhile
 * @returns the number that is free again; undefined if it is in use, or was none
 * Source: pkg/kvstore/allocator/allocator.go, RunGC.
 */
export async function deleteUnused(
  labels: Labels,
  masters: MasterKeys,
  lock: Lock,
): Promise<NumericIdentity | undefined> {
  const identity = masters.get(labels);
  if (identity === undefined) return undefined;
  const prefix = slavePrefix(labels);
  const { results } = await lock.txn({ compare: [], success: [{ type: 'get', prefix: `${prefix}/` }] });
  if (results[0]!.entries.some(({ key }) => isSlaveKeyOf(prefix, key))) return undefined;
  const key = masterKey(identity);
  const { succeeded, revision } = await lock.txn({
    compare: [{ key, target: 'value', operator: '=', value: labelsToValue(labels) }],
    success: [{ type: 'delete', key }],
  });
  if (!succeeded) return undefined;
  masters.retire(identity, revision);
  return identity;
}
