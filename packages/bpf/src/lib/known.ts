import type { Address, HashMap, Memory, PerCpuHashMap } from '@ciliate/maps';
import { type DatapathConfig, hasPerPacketLb } from '../config.ts';
import type { Datapath, EndpointProgram } from '../datapath.ts';
import { compile, instantiate, type Module } from '../engines/compiled/wasm.ts';
import type { Skb } from '../skb.ts';
import { htons } from './common.ts';
import { setTunnelRemote } from './encap.ts';
import type { Family } from './family.ts';
import { redirect } from './icmp6.ts';
import { KNOWN_WASM } from './known_code.ts';
import { PACKET_HOST } from './local_delivery.ts';
import { LPM_PROTO_PREFIX_BITS, portMask } from './policy.ts';

/** The block that the code reads and writes, u32 each (assembly/context.ts). */
const BLOCK = {
  size: 1064,
  options: 0,
  tunnelPort: 4,
  encapIfindex: 8,
  seed: 12,
  natMin: 16,
  natMax: 20,
  ring: 24,
  metrics: 28,
  programs: 32,
  ipcacheRoot: 36,
  statsCpu: 40,
  event: 44,
  lxc: 48,
  stats: 60,
  families: [72, 168],
  mark: 264,
  ifindex: 268,
  tunnelId: 272,
  tunnelInfo: 276,
  masks: 400,
  affinityMatch: 920,
  counted: 936,
} as const;
/** Of a family in the block. */
const FAMILY = {
  ...{ ctTcp: 0, ctAny: 12, services: 24, backends: 36, revNat: 48, snat: 60, affinity: 72 },
  ...{ world: 84, loopback: 88 },
} as const;
/** The record of an endpoint's program. */
const PROGRAM = {
  ...{ size: 32, ipv4: 0, ipv6: 4, mac: 8, id: 12, ifindex: 16, identity: 20, policy: 24, logFilter: 28 },
} as const;
/** Endpoint ids are below. */
const MAX_PROGRAMS = 4096;

const NO_PORT = 0x1_0000;
/** Aggregation from which a packet of a flow that was reported lately is not told of. */
const AGGREGATES_FLOWS = 3;

/** The longest prefix that an entry of a policy map has room for. */
const LPM_LONGEST = 31;
/** Which bits of direction, protocol and port (as they lie in the key) are in a counter's key: policy_check.ts, account. */
function countedOf(prefix: number): number {
  return 0xff | (prefix < LPM_PROTO_PREFIX_BITS ? 0 : 0xff00) | (htons(portMask(prefix)) << 16);
}

/** Answers: that of the program in the low bits, and what is to be done with the packet. */
export const NOT_USUAL = -1;
/** There are no free nodes for new entries at hand. */
const NO_NODES = -2;
const ACTION = 7;
const REDIRECTED = 7;
const MARKED = 8;
const TO_HOST = 16;
const TUNNELLED = 32;
/** Of a call of lxcPolicy. */
const REDIRECTS = 1;
const FROM_TUNNEL = 2;

interface Code {
  fromContainer(ctx: Address, id: number, at: Address, len: number, now: number, device: number): number;
  fromOverlay(ctx: Address, at: Address, len: number, now: number, device: number, identity: number): number;
  lxcPolicy(
    ctx: Address,
    id: number,
    at: Address,
    len: number,
    now: number,
    device: number,
    identity: number,
    flags: number,
  ): number;
  lookUp(ctx: Address, id: number, at: Address, len: number, now: number): number;
  copyFrame: CopyFrame;
}

export type CopyFrame = (to: Address, from: Address, bytes: number) => void;

/** Once for all memories: V8 optimises a module once. */
let compiled: Module | undefined;
const codes = new WeakMap<Memory, Code>();

function codeOf(memory: Memory): Code {
  let code = codes.get(memory);
  if (code === undefined) {
    compiled ??= compile(Buffer.from(KNOWN_WASM, 'base64'));
    code = instantiate(compiled, memory.wasm) as unknown as Code;
    codes.set(memory, code);
  }
  return code;
}

/** Copies within the memory. `copyWithin` goes byte by byte in a shared one, unless both places lie alike on 8 bytes. */
export function copierOf(memory: Memory): CopyFrame {
  if (memory.hasWasm) return codeOf(memory).copyFrame;
  return (to, from, bytes) => void memory.u8.copyWithin(to, from, from + bytes);
}

/**
 * The programs once more, each in one call of WebAssembly on the same memory (assembly/known.ts), for packets of the usual
 * kind: TCP or UDP over IPv4 or IPv6, no fragment, to a service only if no proxy takes its traffic, with entries
 * of maps that are where they are looked for. For the rest it answers NOT_USUAL and has changed nothing, and the programs do
 * their work. Both give the same; explained packets always go the long way.
 */
export class Known {
  readonly #memory: Memory;
  readonly #code: Code;
  readonly #block: Address;
  /** The block as words. */
  readonly #words: Uint32Array;
  readonly #programs: Address;
  readonly #records = new Map<number, Address>();

  /** @returns null where the code does not know the node's configuration or maps. @throws MapError ENOMEM */
  static of(dp: Datapath): Known | null {
    const { config, v4, v6, memory } = dp;
    const isOwn = [v4, v6].every(({ ctTcp, ctAny, affinity }) =>
      [ctTcp, ctAny, affinity].every(({ spec }) => spec.singleOwner),
    );
    const isOther = config.policyAuditMode || config.hostRouting || config.hostFirewall;
    return isOther || !isOwn || !memory.hasWasm ? null : new Known(dp, config);
  }

  /** @param config may differ from that of the datapath. @throws MapError ENOMEM */
  constructor(dp: Datapath, config: DatapathConfig) {
    const { memory } = dp;
    this.#memory = memory;
    this.#code = codeOf(memory);
    this.#block = memory.alloc(BLOCK.size);
    this.#words = new Uint32Array(memory.buffer, this.#block, BLOCK.size >> 2);
    this.#programs = memory.alloc(4 * MAX_PROGRAMS);
    this.#set(BLOCK.options, optionsOf(config));
    this.#set(BLOCK.tunnelPort, config.tunnelMode ? htons(config.node.tunnelPort) : NO_PORT);
    this.#set(BLOCK.encapIfindex, config.encapIfindex);
    this.#set(BLOCK.seed, dp.seed);
    this.#set(BLOCK.natMin, config.node.natPorts.min);
    this.#set(BLOCK.natMax, config.node.natPorts.max);
    this.#set(BLOCK.ring, dp.events.address);
    this.#set(BLOCK.event, dp.stack.event);
    this.#set(BLOCK.metrics, dp.metrics.slots);
    this.#set(BLOCK.programs, this.#programs);
    this.#set(BLOCK.ipcacheRoot, dp.ipcache.root);
    this.#set(BLOCK.statsCpu, dp.policyStats.cpuOffset);
    this.#setTable(BLOCK.lxc, dp.lxc);
    this.#setTable(BLOCK.stats, dp.policyStats);
    this.#setTable(BLOCK.affinityMatch, dp.affinityMatch);
    this.#setFamily(BLOCK.families[0], dp.v4, config);
    this.#setFamily(BLOCK.families[1], dp.v6, config);
    for (let bits = 0; bits <= 64; bits++)
      for (let bit = 0; bit < bits; bit++)
        memory.u8[this.#block + BLOCK.masks + 8 * bits + (bit >> 3)]! |= 0x80 >> (bit & 7);
    for (let prefix = 0; prefix <= LPM_LONGEST; prefix++) this.#set(BLOCK.counted + 4 * prefix, countedOf(prefix));
  }

  #set(offset: number, value: number): void {
    this.#words[offset >> 2] = value;
  }

  #setTable(offset: number, { buckets, bucketMask, address }: HashMap | PerCpuHashMap): void {
    this.#set(offset, buckets);
    this.#set(offset + 4, bucketMask);
    this.#set(offset + 8, address);
  }

  #setFamily(at: number, fam: Family, config: DatapathConfig): void {
    const { ctTcp, ctAny, services, backends, revNat, snat, affinity } = fam;
    for (const [name, map] of Object.entries({ ctTcp, ctAny, services, backends, revNat, snat, affinity }))
      this.#setTable(at + FAMILY[name as keyof typeof FAMILY], map);
    this.#set(at + FAMILY.world, fam.world);
    this.#set(at + FAMILY.loopback, !fam.isV6 && hasPerPacketLb(config) ? config.node.serviceLoopbackIpv4 : 0);
  }

  /** Packets to this endpoint are usual ones from now on. */
  setProgram(program: EndpointProgram): void {
    if (program.id >= MAX_PROGRAMS) return;
    const m = this.#memory;
    const at = this.#records.get(program.id) ?? m.alloc(PROGRAM.size);
    this.#records.set(program.id, at);
    const set = (offset: number, value: number): void => {
      m.u32[(at + offset) >> 2] = value;
    };
    set(PROGRAM.ipv4, program.ipv4);
    set(PROGRAM.ipv6, program.ipv6);
    set(PROGRAM.mac, program.mac);
    set(PROGRAM.id, program.id);
    set(PROGRAM.ifindex, program.ifindex);
    set(PROGRAM.identity, program.identity);
    set(PROGRAM.policy, program.policy.root);
    set(PROGRAM.logFilter, program.policyVerdictLogFilter);
    m.u32[(this.#programs >> 2) + program.id] = at;
  }

  /** There are no programs any more. */
  clearPrograms(): void {
    this.#memory.u32.fill(0, this.#programs >> 2, (this.#programs >> 2) + MAX_PROGRAMS);
  }

  destroy(): void {
    for (const at of this.#records.values()) this.#memory.free(at, PROGRAM.size);
    this.#memory.free(this.#programs, 4 * MAX_PROGRAMS);
    this.#memory.free(this.#block, BLOCK.size);
  }

  /** cilFromContainer once it has told of the packet. @returns its answer, or NOT_USUAL */
  fromContainer(dp: Datapath, ep: EndpointProgram, skb: Skb): number {
    if (dp.program(ep.id) !== ep || skb.tcIndex !== 0) return NOT_USUAL;
    const answer = this.#code.fromContainer(this.#block, ep.id, skb.data, skb.len, dp.nowSeconds(), skb.ifindex);
    if (answer === NO_NODES) return prepareNodes(dp) ? this.fromContainer(dp, ep, skb) : NOT_USUAL;
    if (answer <= 0) return answer;
    if (answer !== MARKED) return this.#conclude(dp, skb, answer);
    skb.mark = this.#words[BLOCK.mark >> 2]!;
    return 0;
  }

  /** cilFromOverlay once it has told of the packet. @param identity of the sender. @returns its answer, or NOT_USUAL */
  fromOverlay(dp: Datapath, skb: Skb, identity: number): number {
    if (skb.tcIndex !== 0) return NOT_USUAL;
    const answer = this.#code.fromOverlay(this.#block, skb.data, skb.len, dp.nowSeconds(), skb.ifindex, identity);
    if (answer === NO_NODES) return prepareNodes(dp) ? this.fromOverlay(dp, skb, identity) : NOT_USUAL;
    return answer <= 0 ? answer : this.#conclude(dp, skb, answer);
  }

  /** cilLxcPolicy. @returns its answer, or NOT_USUAL */
  lxcPolicy(
    dp: Datapath,
    ep: EndpointProgram,
    skb: Skb,
    identity: number,
    redirects: boolean,
    fromTunnel: boolean,
  ): number {
    if (dp.program(ep.id) !== ep || skb.tcIndex !== 0) return NOT_USUAL;
    const flags = (redirects ? REDIRECTS : 0) | (fromTunnel ? FROM_TUNNEL : 0);
    const answer = this.#code.lxcPolicy(
      this.#block,
      ep.id,
      skb.data,
      skb.len,
      dp.nowSeconds(),
      skb.ifindex,
      identity,
      flags,
    );
    if (answer === NO_NODES)
      return prepareNodes(dp) ? this.lxcPolicy(dp, ep, skb, identity, redirects, fromTunnel) : NOT_USUAL;
    return answer <= 0 ? answer : this.#conclude(dp, skb, answer);
  }

  /** The lookups alone, for measurements. @returns 0, 1 for no known connection, or a drop code */
  lookUp(dp: Datapath, ep: EndpointProgram, skb: Skb): number {
    return this.#code.lookUp(this.#block, ep.id, skb.data, skb.len, dp.nowSeconds());
  }

  /** Does what the answer says. @returns that of the program */
  #conclude(dp: Datapath, skb: Skb, answer: number): number {
    if ((answer & MARKED) !== 0) skb.mark = this.#words[BLOCK.mark >> 2]!;
    if ((answer & TO_HOST) !== 0) skb.packetType = PACKET_HOST;
    if ((answer & TUNNELLED) !== 0) this.#setTunnel(dp, skb);
    const action = answer & ACTION;
    return action === REDIRECTED ? redirect(skb, this.#words[BLOCK.ifindex >> 2]!, 0) : action;
  }

  #setTunnel(dp: Datapath, skb: Skb): void {
    const info = this.#words[BLOCK.tunnelInfo >> 2]!;
    skb.tunnelId = this.#words[BLOCK.tunnelId >> 2]!;
    setTunnelRemote(dp, skb, info);
  }
}

/** What one packet may need at most, and some more. */
const NODES_AT_HAND = 8;

/** Sees to it that new connections find free nodes. @returns whether they do */
const prepareNodes = ({ v4, v6 }: Datapath): boolean => prepareFamily(v4) && prepareFamily(v6);

const prepareFamily = ({ ctTcp, ctAny, affinity }: Family): boolean =>
  ctTcp.prepare(NODES_AT_HAND) === 0 && ctAny.prepare(NODES_AT_HAND) === 0 && affinity.prepare(NODES_AT_HAND) === 0;

/** Bits of the block's options. */
function optionsOf(config: DatapathConfig): number {
  const switches = [
    config.ctAccounting,
    config.policyAccounting,
    config.serviceProtocolDifferentiation,
    config.sipVerification,
    hasPerPacketLb(config),
    config.nodePort,
    config.routing,
    config.tunnelMode,
    config.bpfProgForIngressPolicy,
    config.monitorAggregation < AGGREGATES_FLOWS,
    config.ipv4,
    config.ipv6,
    config.lbSelectionPerService,
  ];
  return switches.reduce((bits, on, n) => bits | (on ? 1 << n : 0), 0);
}
