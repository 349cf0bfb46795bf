import {
  has,
  EP_ID,
  EP_POLICY,
  INGRESS,
  MASKS,
  POLICY_ACCOUNTING,
  STATS,
  STATS_CPU,
} from './context';
import { find3, touch } from './hash';
import { dport, len, protocol } from './packet';
import { longestMatch64 } from './trie';

/*
 * What an endpoint's policy says of the packet, left in a block of the context: the return code, where the proxy listens
 * (host order), which parts of the key the entry names (POLICY_MATCH_*), and the counter of the entry.
 */
export const VERDICT: u32 = 0;
export const PROXY_PORT: u32 = 4;
export const MATCH: u32 = 8;
const COUNTER: u32 = 12;

const ENTRY: u32 = 32; // in a node
const STATS_VALUE: u32 = 32;

const DROP_POLICY: i32 = -133;
const DROP_POLICY_DENY: i32 = -181;

// `struct policy_entry` as two words.
const DENY: u32 = 1 << 16;
const EXPLICIT_AUTH: u32 = 1 << 31;

@inline
function prefixBits(value: u32): u32 {
  return (value >> 19) & 0x1f;
}
@inline
function authType(value: u32): u32 {
  return (value >> 24) & 0x7f;
}
@inline
function proxyPort(value: u32): u32 {
  return ((value & 0xff) << 8) | ((value >> 8) & 0xff);
}
/** A deny is the highest, nothing the lowest; then the priority, then the prefix. */
@inline
function rank(node: u32, value: u32): u32 {
  if (node === 0) return 0;
  if ((value & DENY) !== 0) return 0x8000_0000;
  return ((load<u8>(node, ENTRY + 4) << 5) | prefixBits(value)) + 1;
}

/** POLICY_MATCH_* of an entry with so many bits for protocol and port. */
@inline
function matchType(prefix: u32, names: bool): u32 {
  if (prefix > 8) return names ? 2 : 3;
  if (prefix > 0) return names ? 5 : 6;
  return names ? 1 : 4;
}

/**
 * policyCanAccess for the packet.
 * @param ep record of the endpoint's program. @param remote identity of the peer. @param judged the block that is filled
 * @returns false if it asks for authentication, or has a counter that is not there yet
 */
@inline
export function judge<F>(ctx: u32, ep: u32, dir: u32, remote: u32, judged: u32): bool {
  const masks = ctx + MASKS;
  const word1: u32 = <u32>(dir === INGRESS ? 0 : 1) | (protocol << 8) | (dport() << 16);
  const first = load<u32>(load<u32>(ep, EP_POLICY));
  const l3 = longestMatch64(masks, first, (<u64>word1 << 32) | remote, false);
  const l3Value = l3 === 0 ? 0 : load<u32>(l3, ENTRY);
  let l4: u32 = 0;
  let l4Value: u32 = 0;
  if ((l3Value & DENY) === 0) {
    l4 = longestMatch64(masks, first, <u64>word1 << 32, false);
    if (l4 !== 0) l4Value = load<u32>(l4, ENTRY);
  }
  const names = l3 !== 0 && rank(l3, l3Value) >= rank(l4, l4Value);
  const chosen = names ? l3 : l4;
  const value = names ? l3Value : l4Value;
  let verdict: i32 = 0;
  let port: u32 = 0;
  if (chosen === 0) verdict = DROP_POLICY;
  else if ((value & DENY) !== 0) verdict = DROP_POLICY_DENY;
  else {
    port = proxyPort(value);
    if (authType(value) !== 0) return false;
    if ((value & EXPLICIT_AUTH) === 0 && authType(names ? l4Value : l3Value) !== 0) return false;
  }
  store<i32>(judged, verdict, VERDICT);
  store<u32>(judged, port, PROXY_PORT);
  let counter: u32 = 0;
  let match: u32 = 0;
  if (chosen !== 0) {
    const prefix = prefixBits(value);
    match = matchType(prefix, names);
    if (has(ctx, POLICY_ACCOUNTING)) {
      counter = counterOf(ctx, load<u32>(ep, EP_ID), names ? remote : 0, prefix, word1);
      if (counter === 0) return false;
    }
  }
  store<u32>(judged, match, MATCH);
  store<u32>(judged, counter, COUNTER);
  return true;
}

/** @returns the node of the counter of an entry with such a prefix */
@inline
function counterOf(ctx: u32, endpoint: u32, identity: u32, prefix: u32, word1: u32): u32 {
  let asked = word1 & 0xff; // direction
  if (prefix >= 8) asked |= word1 & 0xff00;
  if (prefix > 8) {
    // The port's bytes are in the order of the network.
    const mask: u32 = (0xffff << (24 - prefix)) & 0xffff;
    asked |= (((mask >> 8) | (mask << 8)) << 16) & word1;
  }
  return find3(ctx + STATS, endpoint | (prefix << 24), identity, asked);
}

/** __policy_account: counts the packet under the key of the entry that decided it. */
@inline
export function account(ctx: u32, judged: u32): void {
  const node = load<u32>(judged, COUNTER);
  if (node === 0) return;
  touch(node);
  const at = load<u32>(node, STATS_VALUE) + load<u32>(ctx, STATS_CPU);
  store<u64>(at, load<u64>(at) + 1);
  store<u64>(at, load<u64>(at, 8) + len, 8);
}
