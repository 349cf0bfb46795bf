/*
 * AssemblyScript, not TypeScript. What the code of this directory is given: the block that known.ts in ../src/lib fills
 * once for a `Datapath`, byte offsets, u32 each; and the numbers of Cilium's that several files need.
 */

/** The family that a generic function is compiled for: by the size of the type. */
export type V4 = u32;
export type V6 = u64;

@inline
export function isV6<F>(): bool {
  return sizeof<F>() == 8;
}

/** What is switched on. */
const OPTIONS: u32 = 0;
export const CT_ACCOUNTING: u32 = 1;
export const POLICY_ACCOUNTING: u32 = 2;
export const SERVICE_PROTOCOLS: u32 = 4;
export const CHECK_SOURCE: u32 = 8;
export const LOOK_FOR_SERVICE: u32 = 16;
export const NODE_PORT: u32 = 32;
export const ROUTING: u32 = 64;
export const TUNNEL_MODE: u32 = 128;
export const INGRESS_BY_DEVICE: u32 = 256;
export const TELL_AGAIN: u32 = 512;
export const WITH_IPV4: u32 = 1024;
export const WITH_IPV6: u32 = 2048;
export const SERVICE_ALGORITHMS: u32 = 4096;

export const TUNNEL_PORT: u32 = 4;
export const ENCAP_IFINDEX: u32 = 8;
export const SEED: u32 = 12;
export const NAT_MIN: u32 = 16;
export const NAT_MAX: u32 = 20;
export const RING: u32 = 24;
export const METRICS: u32 = 28;
const PROGRAMS: u32 = 32;
export const IPCACHE_ROOT: u32 = 36;
export const STATS_CPU: u32 = 40;
/** Where a notification is put together (`Stack.event`). */
export const EVENT: u32 = 44;
/** Tables: the links to the first nodes, the mask that chooses one, the map's header. */
export const LXC: u32 = 48;
export const STATS: u32 = 60;
/** Of a family. */
const FAMILY4: u32 = 72;
const FAMILY6: u32 = 168;
export const CT_TCP: u32 = 0;
export const CT_ANY: u32 = 12;
export const SERVICES: u32 = 24;
export const BACKENDS: u32 = 36;
export const REV_NAT: u32 = 48;
export const SNAT: u32 = 60;
export const AFFINITY: u32 = 72;
export const WORLD: u32 = 84;
/** The source of a pod that reaches itself through a service; 0: not looked for. */
export const LOOPBACK: u32 = 88;
/** What the caller does with the packet: the mark, the device, the tunnel. */
export const MARK: u32 = 264;
export const IFINDEX: u32 = 268;
export const TUNNEL_ID: u32 = 272;
export const TUNNEL_INFO: u32 = 276;
/** What policy said on the way out and on the way in (policy.ts). */
export const FROM_JUDGED: u32 = 280;
export const TO_JUDGED: u32 = 312;
/** A key that is put together, an address that is kept. */
export const KEY: u32 = 344;
export const ORIG_SADDR: u32 = 384;
/** Which backends belong to which services, for affinity: a table. */
export const AFFINITY_MATCH: u32 = 920;
/** What of direction, protocol and port is in the key of the counter of an entry with a prefix of 0..31 bits: a mask. */
export const COUNTED: u32 = 936;
/** Masks of the first 0..64 bits of a key. */
export const MASKS: u32 = 400;

@inline
export function family<F>(ctx: u32): u32 {
  return ctx + (isV6<F>() ? FAMILY6 : FAMILY4);
}

@inline
export function has(ctx: u32, option: u32): bool {
  return (load<u32>(ctx, OPTIONS) & option) !== 0;
}

/** What the caller knows of an endpoint's program: addresses of its own addresses, then numbers. */
export const EP_ADDRESS: u32 = 0;
export const EP_ADDRESS6: u32 = 4;
export const EP_MAC: u32 = 8;
export const EP_ID: u32 = 12;
export const EP_IFINDEX: u32 = 16;
export const EP_IDENTITY: u32 = 20;
export const EP_POLICY: u32 = 24;
export const EP_LOG_FILTER: u32 = 28;
const MAX_PROGRAMS: u32 = 4096;

/** @returns the record of the endpoint's program, or 0 */
@inline
export function programOf(ctx: u32, id: u32): u32 {
  return id < MAX_PROGRAMS ? load<u32>(load<u32>(ctx, PROGRAMS) + (id << 2)) : 0;
}

/** Answers when nothing is done; -1 wins when both are joined by `|`. */
export const NOT_USUAL: i32 = -1;
/** The maps have room, but no free nodes at hand. */
export const NO_NODES: i32 = -2;
export const NEW: u32 = 0;
export const ESTABLISHED: u32 = 1;
export const REPLY: u32 = 2;
export const EGRESS: u32 = 0;
export const INGRESS: u32 = 1;
export const SERVICE: u32 = 2;

export const TCP: u32 = 6;
export const UDP: u32 = 17;
export const FIN: u32 = 1;
export const SYN: u32 = 2;
export const RST: u32 = 4;

export const TRACE_PAYLOAD_LEN: u32 = 128;
