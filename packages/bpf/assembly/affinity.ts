import { AFFINITY, AFFINITY_MATCH, family, isV6, KEY } from './context';
import { find, insert, NODE_KEY, room } from './hash';
import { copyAddress, now, saddrAt } from './packet';

/* Session affinity (lib/lb_select.ts): a client comes to the backend that it had last. */

// Of an entry.
const LAST_USED: u32 = 0;
const BACKEND_ID: u32 = 8;
/** The rest of the word in a service is its algorithm. */
const TIMEOUT_MASK: u32 = 0xff_ffff;

@inline
function keyWords<F>(): u32 {
  return isV6<F>() ? 6 : 4;
}

@inline
function entryAt<F>(): u32 {
  return NODE_KEY + (keyWords<F>() << 2);
}

/** The packet's source and the service's index, as entries have it. */
@inline
function setKey<F>(ctx: u32, revNat: u32): u32 {
  const key = ctx + KEY;
  if (!isV6<F>()) store<u64>(key, 0);
  copyAddress<F>(key, saddrAt);
  store<u64>(key, revNat, isV6<F>() ? 16 : 8);
  return key;
}

/** @returns the client's entry, or 0 */
@inline
export function lookupAffinity<F>(ctx: u32, revNat: u32): u32 {
  const node = find(family<F>(ctx) + AFFINITY, setKey<F>(ctx, revNat), keyWords<F>());
  return node === 0 ? 0 : node + entryAt<F>();
}

/** @returns the backend of an entry, or 0 if it was too long ago, or the service has it no more. @param timeout of the service */
export function affinityBackend(ctx: u32, entry: u32, timeout: u32, revNat: u32): u32 {
  if (<u64>load<u32>(entry, LAST_USED) + (timeout & TIMEOUT_MASK) <= <u64>now) return 0;
  const backend = load<u32>(entry, BACKEND_ID);
  const key = ctx + KEY;
  store<u32>(key, backend);
  store<u32>(key, revNat, 4);
  return find(ctx + AFFINITY_MATCH, key, 2) === 0 ? 0 : backend;
}

/** @returns 0 if there is room for one more client */
@inline
export function roomForClient<F>(ctx: u32): i32 {
  return room(family<F>(ctx) + AFFINITY, 1);
}

export function updateAffinity<F>(ctx: u32, revNat: u32, backend: u32): void {
  const entry = insert(family<F>(ctx) + AFFINITY, setKey<F>(ctx, revNat), keyWords<F>()) + entryAt<F>();
  store<u64>(entry, now, LAST_USED);
  store<u64>(entry, backend, BACKEND_ID);
}
