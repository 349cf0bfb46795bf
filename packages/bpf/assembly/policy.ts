import {
  COUNTED,
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
 * (host order), what it is about, and the counter of the entry.
 */
export const VERDICT: u32 = 0;
export const PROXY_PORT: u32 = 4;
const RULE: u32 = 8;
const COUNTER: u32 = 12;

// Of the entry that decided: that there is one, that it names the identity, and its prefix.
const FOUND: u32 = 0x40;
const NAMES: u32 = 0x20;
const PREFIX: u32 = 0x1f;

export const NOT_JUDGED: i32 = 1;

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
/** A deny is the highest; then the priority, then the prefix. */
@inline
function rank(node: u32, value: u32): u32 {
  if ((value & DENY) !== 0) return 0x8000_0000;
  return ((load<u8>(node, ENTRY + 4) << 5) | prefixBits(value)) + 1;
}

/** POLICY_MATCH_* of the entry that decided. */
@inline
export function matchType(judged: u32): u32 {
  const rule = load<u32>(judged, RULE);
  if (rule === 0) return 0;
  const names = (rule & NAMES) !== 0;
  const prefix = rule & PREFIX;
  if (prefix > 8) return names ? 2 : 3;
  if (prefix > 0) return names ? 5 : 6;
  return names ? 1 : 4;
}

/**
 * policyCanAccess for the packet.
 * @param ep record of the endpoint's program. @param remote identity of the peer. @param judged the block that is filled
 * @returns the verdict, or NOT_JUDGED if it asks for authentication, or has a counter that is not there yet
 */
@inline
export function judge<F>(ctx: u32, ep: u32, dir: u32, remote: u32, judged: u32): i32 {
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
  let names = l3 !== 0;
  if (names) if (l4 !== 0) names = rank(l3, l3Value) >= rank(l4, l4Value);
  const chosen = names ? l3 : l4;
  const value = names ? l3Value : l4Value;
  let verdict: i32 = 0;
  let port: u32 = 0;
  if (chosen === 0) verdict = DROP_POLICY;
  else if ((value & DENY) !== 0) verdict = DROP_POLICY_DENY;
  else {
    port = proxyPort(value);
    if (authType(value) !== 0) return NOT_JUDGED;
    if ((value & EXPLICIT_AUTH) === 0) if (authType(names ? l4Value : l3Value) !== 0) return NOT_JUDGED;
  }
  store<i32>(judged, verdict, VERDICT);
  store<u32>(judged, port, PROXY_PORT);
  let counter: u32 = 0;
  let rule: u32 = 0;
  if (chosen !== 0) {
    const prefix = prefixBits(value);
    rule = FOUND | prefix | (names ? NAMES : 0);
    if (has(ctx, POLICY_ACCOUNTING)) {
      counter = counterOf(ctx, load<u32>(ep, EP_ID), names ? remote : 0, prefix, word1);
      if (counter === 0) return NOT_JUDGED;
    }
  }
  store<u32>(judged, rule, RULE);
  store<u32>(judged, counter, COUNTER);
  return verdict;
}

/** @returns the node of the counter of an entry with such a prefix */
@inline
function counterOf(ctx: u32, endpoint: u32, identity: u32, prefix: u32, word1: u32): u32 {
  const asked = word1 & load<u32>(ctx + COUNTED + (prefix << 2));
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
