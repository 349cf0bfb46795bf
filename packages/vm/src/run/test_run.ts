import type { Memory } from '@ciliate/maps';
import { badInput } from '../errors.ts';
import { ETH_HLEN, type PacketKind, SKB, XDP_MD } from '../machine/packet.ts';
import type { LinkedFunction } from '../object/linked.ts';
import type { Vm } from './vm.ts';

/** A page without what the kernel keeps for itself in front of and behind a packet. */
export const MAX_INPUT = 3520;
const LOOPBACK = 1;
const ETH_P_802_3_MIN = 0x0600;
const ETH_P_802_2 = 0x0400; // 4, as the context holds it: in network order
/** What of the context may be set from outside, and is given back. */
const PASSED: readonly { at: number; bytes: number }[] = [
  { at: SKB.mark, bytes: 4 },
  { at: SKB.priority, bytes: 4 },
  { at: SKB.ingressIfindex, bytes: 4 },
  { at: SKB.ifindex, bytes: 4 },
  { at: SKB.cb, bytes: 20 },
  { at: SKB.tstamp, bytes: 8 },
  { at: SKB.wireLen, bytes: 4 },
  { at: SKB.gsoSegs, bytes: 4 },
  { at: SKB.gsoSize, bytes: 4 },
  { at: SKB.hwtstamp, bytes: 8 },
];

export interface TestRun {
  /** r0's low half. */
  status: number;
  data: Uint8Array;
  /** The `__sk_buff` of tc; all zero for XDP. */
  context: Uint8Array;
  /** Of the program alone, all runs. */
  durationNs: number;
}

export interface TestRunOptions {
  /** A `__sk_buff`, of which the fields of `PASSED` count; only for tc. */
  context?: Uint8Array;
  /** How often the program runs: each time on what the run before left of the packet, as in the kernel. */
  repeat?: number;
}

/**
 * One run as BPF_PROG_TEST_RUN does it: on the loopback, what the program redirects goes nowhere.
 * @throws VmError BAD_INPUT for a packet that the kernel would not take; FAULT
 */
export function testRun(
  vm: Vm,
  fn: LinkedFunction,
  kind: PacketKind,
  data: Uint8Array,
  { context = new Uint8Array(SKB.size), repeat = 1 }: TestRunOptions = {},
): TestRun {
  if (data.length < ETH_HLEN) throw badInput(`a packet has at least ${ETH_HLEN} bytes`, { bytes: data.length });
  if (data.length > MAX_INPUT + 4) throw badInput(`a packet has at most ${MAX_INPUT} bytes`, { bytes: data.length });
  const { memory, packet } = vm.machine;
  packet.load(kind, data);
  if (kind === 'tc') fillContext(memory, packet.context, data, context);
  else memory.u32[(packet.context + XDP_MD.ingressIfindex) >> 2] = LOOPBACK;
  const from = process.hrtime.bigint();
  const status = vm.repeat(fn, repeat);
  const durationNs = Number(process.hrtime.bigint() - from);
  const out = new Uint8Array(SKB.size);
  if (kind === 'tc') {
    for (const { at, bytes } of PASSED)
      out.set(memory.u8.subarray(packet.context + at, packet.context + at + bytes), at);
  }
  return { status, data: packet.bytes(), context: out, durationNs };
}

function fillContext(memory: Memory, at: number, data: Uint8Array, from: Uint8Array): void {
  for (const { at: field, bytes } of PASSED) memory.u8.set(from.subarray(field, field + bytes), at + field);
  const set = (field: number, value: number): void => memory.view.setUint32(at + field, value, true);
  const get = (field: number): number => memory.view.getUint32(at + field, true);
  if (get(SKB.ifindex) === 0) set(SKB.ifindex, LOOPBACK);
  if (get(SKB.wireLen) === 0) set(SKB.wireLen, data.length);
  else if (get(SKB.wireLen) < data.length)
    throw badInput('wire_len is less than the packet has bytes', { bytes: data.length });
  const type = (data[12]! << 8) | data[13]!;
  set(SKB.protocol, type >= ETH_P_802_3_MIN ? data[12]! | (data[13]! << 8) : ETH_P_802_2);
  set(SKB.pktType, packetType(data));
}

/** The loopback's address is all zero. */
function packetType(data: Uint8Array): number {
  const [HOST, MULTICAST, OTHERHOST] = [0, 2, 3];
  if (data.subarray(0, 6).every((byte) => byte === 0)) return HOST;
  return (data[0]! & 1) === 1 ? MULTICAST : OTHERHOST;
}
