import { posix } from 'node:path';
import { Labels } from '@ciliate/labels';
import { MAX_WIRE_IDENTITY, MINIMAL_ALLOCATED_IDENTITY, type NumericIdentity } from './numeric.ts';

/**
 * Where identities stand in the store:
 *
 *     cilium/state/identities/v1/id/<number>            -> labels   master key: this number is taken, for good
 *     cilium/state/identities/v1/value/<labels>/<node>  -> number   slave key: this node uses it, with the node's lease
 *     cilium/state/identities/v1/locks/<labels>/<lease>             who may change what belongs to these labels
 *
 * `<labels>` is the sorted list `source:key=value;...`, slashes and all; paths are cleaned as Go's path.Join does it.
 * This file alone turns labels and numbers into keys and values and back. Source: pkg/kvstore/allocator/allocator.go.
 */
const BASE = 'cilium/state/identities/v1';
export const ID_PREFIX = `${BASE}/id/`;

export const masterKey = (identity: NumericIdentity): string => `${ID_PREFIX}${identity}`;

/** Of all slave keys. */
export const VALUE_PREFIX = `${BASE}/value/`;

/**
 * All slave keys of these labels start so, and so do those of label lists that start with this one.
 * @param value the labels as {@link labelsToValue} writes them
 */
export const slavePrefix = (value: string): string => posix.join(VALUE_PREFIX, value);

export const slaveKey = (value: string, node: string): string => posix.join(slavePrefix(value), node);

/** Is the found key a slave key of exactly the labels of this prefix? What follows must be one step, the node. */
export const isSlaveKeyOf = (prefix: string, key: string): boolean => key.lastIndexOf('/') === prefix.length;

export const lockPath = (value: string): string => posix.join(BASE, 'locks', value);

/** The value of a master key, and the name of a label set wherever one is needed. */
export const labelsToValue = (labels: Labels): string => labels.sortedList();
export const valueToLabels = (value: string): Labels => Labels.fromSortedList(value);

/** The number that a master key is for; undefined if it is not one that an allocator could have written. */
export const parseMasterKey = (key: string): NumericIdentity | undefined => parseIdentity(key.slice(ID_PREFIX.length));

/** The value of a slave key. Numbers that are reserved or do not fit the wire's 24 bits are nobody's identity. */
export function parseIdentity(text: string): NumericIdentity | undefined {
  const identity = /^[1-9][0-9]{0,7}$/.test(text) ? Number(text) : 0;
  return identity >= MINIMAL_ALLOCATED_IDENTITY && identity <= MAX_WIRE_IDENTITY ? identity : undefined;
}
