/*
 * AssemblyScript, not TypeScript: the lookups of an IPv4 packet on the maps in the shared memory, all in one call:
 * services, conntrack, ipcache, policy, counters. What it does for a packet is what the programs in ../src do; it does it
 * only for packets of the usual kind, and changes nothing before it knows that a packet is one. Built by build.ts.
 */

/** Beginning of a block that TypeScript fills once (known.ts); byte offsets. */
const CT_TCP: u32 = 0;
const CT_ANY: u32 = 8;
const SERVICES: u32 = 16;
const STATS: u32 = 24;
const STATS_CPU: u32 = 32;
const IPCACHE_ROOT: u32 = 36;
const TUPLE: u32 = 40;
const TUNNEL_PORT: u32 = 44;
const OPTIONS: u32 = 48;
const WORLD: u32 = 52;
/** The source of a pod that reaches itself through a service; 0: not looked for. */
const LOOPBACK: u32 = 56;
/** What was found. */
const INFO: u32 = 64;
const IDENTITY: u32 = 68;
const REV_NAT: u32 = 72;
const CT_FLAGS: u32 = 76;
const ENTRY: u32 = 80;
const VERDICT: u32 = 84;
const PROXY_PORT: u32 = 88;
const AUTH_TYPE: u32 = 92;
/** Masks of the first 0..64 bits of a key. */
const MASKS: u32 = 128;

/** Of the call. */
const INGRESS: u32 = 1;
const CHECK_SOURCE: u32 = 2;
const LOOK_FOR_SERVICE: u32 = 4;
const FORWARD_ONLY: u32 = 8;
const ASK_POLICY: u32 = 16;
/** Of OPTIONS. */
const CT_ACCOUNTING: u32 = 1;
const POLICY_ACCOUNTING: u32 = 2;
const SERVICE_PROTOCOLS: u32 = 4;

const NOT_USUAL: i32 = -1;
const NEW: i32 = 0;
const ESTABLISHED: i32 = 1;
const REPLY: i32 = 2;
/** Bits of the answer beside the status. */
const REPORT: i32 = 4;
const PLAIN: i32 = 8;
const NAMES_IDENTITY: i32 = 16;
const UNCOUNTED: i32 = 32;

// Hash nodes: next, -, -, hash, key, value; in front of those of LRU hashes: used.
const NODE_HASH: u32 = 12;
const NODE_KEY: u32 = 16;
const NODE_VALUE: u32 = 32; // of keys of 9 to 16 bytes
const LRU_USED: u32 = 8;
// Nodes of tries.
const TRIE_FLAGS: u32 = 8;
const TRIE_BITS: u32 = 16;
const TRIE_DATA: u32 = 20;
const INTERMEDIATE: u32 = 1;
const IPCACHE_VALUE: u32 = 40;
const POLICY_VALUE: u32 = 32;
// `struct ct_entry`.
const CT_PACKETS: u32 = 16;
const CT_BYTES: u32 = 24;
const CT_LIFETIME: u32 = 32;
const CT_ENTRY_FLAGS: u32 = 36;
const CT_REV_NAT: u32 = 38;
const CT_LAST_TX_REPORT: u32 = 48;
const CT_LAST_RX_REPORT: u32 = 52;
const BOTH_CLOSING: u32 = 3;
const LB_LOOPBACK: u32 = 8;
const SEEN_NON_SYN: u32 = 0x10;
/** lb_loopback, node_port, proxy_redirect, from_l7lb, from_tunnel. */
const SPECIAL: u32 = 0x568;
const LIFETIME_TCP: u32 = 8000;
const LIFETIME_NONTCP: u32 = 60;
const REPORT_INTERVAL: u32 = 5;

const TCP: u32 = 6;
const UDP: u32 = 17;
const FIN_SYN_RST: u32 = 7;
const FAMILY_IPV4: u64 = 0x0100_0000;

const DROP_POLICY: i32 = -133;
const DROP_POLICY_DENY: i32 = -181;
const DROP_POLICY_AUTH_REQUIRED: i32 = -189;
// `struct policy_entry` as two words.
const DENY: u32 = 1 << 16;

@inline
function mix(h: u32, word: u32): u32 {
  h = (h ^ word) * 0x9e37_79b1;
  return h ^ (h >> 15);
}

@inline
function end(h: u32, tail: u32): u32 {
  h = (h ^ tail) * 0x85eb_ca6b;
  h ^= h >> 13;
  h *= 0xc2b2_ae35;
  return h ^ (h >> 16);
}

/** @param table its buckets, and their mask. @returns the node of a key of four words, or 0 */
@inline
function find4(table: u32, words01: u64, word2: u32, tail: u32, hash: u32): u32 {
  let node = load<u32>(load<u32>(table) + ((hash & load<u32>(table, 4)) << 2));
  while (node !== 0) {
    if (
      load<u32>(node, NODE_HASH) === hash &&
      load<u64>(node, NODE_KEY) === words01 &&
      load<u64>(node, NODE_KEY + 8) === ((<u64>tail << 32) | word2)
    )
      return node;
    node = load<u32>(node);
  }
  return 0;
}

/** The same for a key of three words. */
@inline
function find3(table: u32, word0: u32, word1: u32, word2: u32): u32 {
  const hash = end(mix(mix(0, word0), word1), word2);
  let node = load<u32>(load<u32>(table) + ((hash & load<u32>(table, 4)) << 2));
  while (node !== 0) {
    if (
      load<u32>(node, NODE_HASH) === hash &&
      load<u64>(node, NODE_KEY) === ((<u64>word1 << 32) | word0) &&
      load<u32>(node, NODE_KEY + 8) === word2
    )
      return node;
    node = load<u32>(node);
  }
  return 0;
}

/** The entry with the longest prefix of a key of 64 bits, or 0. */
@inline
function longestMatch(masks: u32, node: u32, key: u64): u32 {
  let found: u32 = 0;
  while (node !== 0) {
    const bits = load<u32>(node, TRIE_BITS);
    if (bits > 64 || ((load<u64>(node, TRIE_DATA) ^ key) & load<u64>(masks + (bits << 3))) !== 0) break;
    if ((load<u32>(node, TRIE_FLAGS) & INTERMEDIATE) === 0) found = node;
    if (bits === 64) break;
    node = load<u32>(node + ((<u32>(key >> (bits ^ 7)) & 1) << 2));
  }
  return found;
}

@inline
function touch(node: u32): void {
  if (load<u32>(node - LRU_USED) === 0) store<u32>(node - LRU_USED, 1);
}

@inline
function isService(block: u32, daddr: u32, dport: u32, protocol: u32): bool {
  const services = block + SERVICES;
  if ((load<u32>(block, OPTIONS) & SERVICE_PROTOCOLS) !== 0 && find3(services, daddr, dport, protocol) !== 0) return true;
  return find3(services, daddr, dport, 0) !== 0;
}

/** Which bits of a policy entry's first word say how long its prefix is, what it asks for and so on. */
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
  return ((load<u8>(node, POLICY_VALUE + 4) << 5) | prefixBits(value)) + 1;
}

/** policyCanAccess: leaves entry, verdict, proxy port, authentication in the block. @returns NAMES_IDENTITY or 0 */
@inline
function decide(block: u32, root: u32, identity: u32, word1: u32): i32 {
  const masks = block + MASKS;
  const first = load<u32>(root);
  const l3 = longestMatch(masks, first, (<u64>word1 << 32) | identity);
  const l3Value = l3 === 0 ? 0 : load<u32>(l3, POLICY_VALUE);
  let l4: u32 = 0;
  let l4Value: u32 = 0;
  if ((l3Value & DENY) === 0) {
    l4 = longestMatch(masks, first, <u64>word1 << 32);
    if (l4 !== 0) l4Value = load<u32>(l4, POLICY_VALUE);
  }
  const names = l3 !== 0 && rank(l3, l3Value) >= rank(l4, l4Value);
  const chosen = names ? l3 : l4;
  const value = names ? l3Value : l4Value;
  let verdict: i32 = 0;
  let auth: u32 = 0;
  let port: u32 = 0;
  if (chosen === 0) verdict = DROP_POLICY;
  else if ((value & DENY) !== 0) verdict = DROP_POLICY_DENY;
  else {
    port = proxyPort(value);
    auth = authType(value);
    if ((value & 0x8000_0000) === 0) auth = max<u32>(auth, authType(names ? l4Value : l3Value));
    if (auth !== 0) verdict = DROP_POLICY_AUTH_REQUIRED;
  }
  store<u32>(block, chosen === 0 ? 0 : chosen + POLICY_VALUE, ENTRY);
  store<i32>(block, verdict, VERDICT);
  store<u32>(block, port, PROXY_PORT);
  store<u32>(block, auth, AUTH_TYPE);
  return names ? NAMES_IDENTITY : 0;
}

/** Counts the packet under the key of the entry that decided it. @returns whether there is such a counter */
@inline
function account(block: u32, endpoint: u32, identity: u32, word1: u32, len: u32): bool {
  const prefix = prefixBits(load<u32>(load<u32>(block, ENTRY)));
  let asked = word1 & 0xff; // direction
  if (prefix >= 8) asked |= word1 & 0xff00;
  if (prefix > 8) {
    // The port's bytes are in the order of the network.
    const mask: u32 = (0xffff << (24 - prefix)) & 0xffff;
    asked |= (((mask >> 8) | (mask << 8)) << 16) & word1;
  }
  const node = find3(block + STATS, endpoint | (prefix << 24), identity, asked);
  if (node === 0) return false;
  touch(node);
  const at = load<u32>(node, NODE_VALUE) + load<u32>(block, STATS_CPU);
  store<u64>(at, load<u64>(at) + 1);
  store<u64>(at, load<u64>(at, 8) + len, 8);
  return true;
}

/** What conntrack does with the entry of a packet that neither begins nor ends a connection. @returns REPORT or 0 */
@inline
function keep(block: u32, entry: u32, isTcp: bool, ingress: bool, now: u32, len: u32): i32 {
  let lifetime = LIFETIME_NONTCP;
  if (isTcp) {
    store<u16>(entry, load<u16>(entry, CT_ENTRY_FLAGS) | <u16>SEEN_NON_SYN, CT_ENTRY_FLAGS);
    lifetime = LIFETIME_TCP;
  }
  store<u32>(entry, now + lifetime, CT_LIFETIME);
  if ((load<u32>(block, OPTIONS) & CT_ACCOUNTING) !== 0) {
    store<u64>(entry, load<u64>(entry, CT_PACKETS) + 1, CT_PACKETS);
    store<u64>(entry, load<u64>(entry, CT_BYTES) + len, CT_BYTES);
  }
  const last = ingress ? load<u32>(entry, CT_LAST_RX_REPORT) : load<u32>(entry, CT_LAST_TX_REPORT);
  if (<u64>last + REPORT_INTERVAL >= <u64>now) return 0;
  if (ingress) store<u32>(entry, now, CT_LAST_RX_REPORT);
  else store<u32>(entry, now, CT_LAST_TX_REPORT);
  return REPORT;
}

/**
 * @param at       of the Ethernet header of a frame of `len` bytes
 * @param now      seconds
 * @param source   where the only address lies that the packet may come from
 * @param root     of the endpoint's policy
 * @param identity of the sender, on ingress
 * @returns status and bits, or NOT_USUAL: then nothing is changed, but that entries may be marked as used
 */
export function lookUp(
  block: u32,
  mode: u32,
  at: u32,
  len: u32,
  now: u32,
  source: u32,
  root: u32,
  endpoint: u32,
  identity: u32,
): i32 {
  if (len < 38 || load<u16>(at, 12) !== 0x0008) return NOT_USUAL;
  const protocol: u32 = load<u8>(at, 23);
  const isTcp = protocol === TCP;
  const l4: u32 = 14 + (<u32>(load<u8>(at, 14) & 0x0f) << 2);
  // Neither a fragment nor cut off; conntrack also looks at the flags of TCP.
  if ((load<u16>(at, 20) & 0xff3f) !== 0 || (!isTcp && protocol !== UDP) || l4 + <u32>(isTcp ? 14 : 4) > len) return NOT_USUAL;
  const saddr = load<u32>(at, 26);
  const daddr = load<u32>(at, 30);
  const ports = load<u32>(at + l4);
  const dport = ports >> 16;
  if (saddr === 0 || daddr === 0) return NOT_USUAL;
  if ((mode & CHECK_SOURCE) !== 0 && saddr !== load<u32>(source)) return NOT_USUAL;
  if ((mode & LOOK_FOR_SERVICE) !== 0 && isService(block, daddr, dport, protocol)) return NOT_USUAL;
  const ingress = (mode & INGRESS) !== 0;
  if (!ingress && !isTcp && dport === load<u32>(block, TUNNEL_PORT)) return NOT_USUAL;

  if (ingress && saddr === load<u32>(block, LOOPBACK)) return NOT_USUAL;

  const table = block + (isTcp ? CT_TCP : CT_ANY);
  const forwardTail: u32 = protocol | <u32>(ingress ? 0x100 : 0);
  const swapped = rotl<u32>(ports, 16);
  const forward = (<u64>daddr << 32) | saddr;
  let status = REPLY;
  let node: u32 = 0;
  if ((mode & FORWARD_ONLY) === 0) {
    const tail = forwardTail ^ 0x100;
    const hash = end(mix(mix(mix(0, daddr), saddr), ports), tail);
    node = find4(table, (<u64>saddr << 32) | daddr, ports, tail, hash);
  }
  if (node === 0) {
    const hash = end(mix(mix(mix(0, saddr), daddr), swapped), forwardTail);
    node = find4(table, forward, swapped, forwardTail, hash);
    status = node === 0 ? NEW : ESTABLISHED;
  }
  let report: i32 = REPORT;
  let flags: u32 = 0;
  let revNat: u32 = 0;
  if (node !== 0) {
    const entry = node + NODE_VALUE;
    flags = load<u16>(entry, CT_ENTRY_FLAGS);
    if ((isTcp && (load<u8>(at + l4, 13) & FIN_SYN_RST) !== 0) || (flags & BOTH_CLOSING) === BOTH_CLOSING) return NOT_USUAL;
    if (ingress && (flags & LB_LOOPBACK) !== 0) return NOT_USUAL;
    touch(node);
    revNat = load<u16>(entry, CT_REV_NAT);
    report = keep(block, entry, isTcp, ingress, now, len);
  }
  const tuple = load<u32>(block, TUPLE);
  if (status === REPLY) {
    store<u64>(tuple, (<u64>saddr << 32) | daddr);
    store<u32>(tuple, ports, 8);
    store<u16>(tuple, <u16>(forwardTail ^ 0x100), 12);
  } else {
    store<u64>(tuple, forward);
    store<u32>(tuple, swapped, 8);
    store<u16>(tuple, <u16>forwardTail, 12);
  }
  store<u32>(block, revNat, REV_NAT);
  store<u32>(block, flags, CT_FLAGS);

  let remote = identity;
  if (!ingress) {
    const info = longestMatch(block + MASKS, load<u32>(load<u32>(block, IPCACHE_ROOT)), (<u64>daddr << 32) | FAMILY_IPV4);
    store<u32>(block, info === 0 ? 0 : info + IPCACHE_VALUE, INFO);
    remote = info === 0 ? load<u32>(block, WORLD) : load<u32>(info, IPCACHE_VALUE);
    store<u32>(block, remote, IDENTITY);
  }
  let answer = status | report;
  const usual = status !== NEW && revNat === 0 && (flags & SPECIAL) === 0;
  if (status === REPLY || (mode & ASK_POLICY) === 0) return usual ? answer | PLAIN : answer;
  const word1: u32 = <u32>(ingress ? 0 : 1) | (protocol << 8) | (dport << 16);
  const names = decide(block, root, remote, word1);
  answer |= names;
  if (load<u32>(block, ENTRY) !== 0 && (load<u32>(block, OPTIONS) & POLICY_ACCOUNTING) !== 0)
    if (!account(block, endpoint, names !== 0 ? remote : 0, word1, len)) answer |= UNCOUNTED;
  const passes = (load<u32>(block, VERDICT) | load<u32>(block, PROXY_PORT)) === 0;
  if (usual && passes && (answer & UNCOUNTED) === 0) answer |= PLAIN;
  return answer;
}
