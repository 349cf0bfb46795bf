import { type Address, type HashMap, lpmPrefixLength, type Memory, NULL, type PerCpuHashMap } from '@ciliate/maps';
import { type DatapathConfig, hasPerPacketLb } from '../config.ts';
import type { EndpointProgram } from '../datapath.ts';
import { instantiate } from '../engines/compiled/wasm.ts';
import type { Skb } from '../skb.ts';
import { CT_ESTABLISHED, htons, ntohs, POLICY_MATCH_NONE } from './common.ts';
import { type CtState, setCtState } from './conntrack.ts';
import type { Family } from './family.ts';
import { KNOWN_WASM } from './known_code.ts';
import { TRACE_PAYLOAD_LEN } from './notify.ts';
import { matchType, type PolicyVerdict } from './policy.ts';

/** The block that assembly/known.ts reads and writes: u32 each. */
const BLOCK = {
  size: 128 + 65 * 8,
  ctTcp: 0,
  ctAny: 8,
  services: 16,
  stats: 24,
  statsCpu: 32,
  ipcacheRoot: 36,
  tuple: 40,
  tunnelPort: 44,
  options: 48,
  world: 52,
  loopback: 56,
  info: 64,
  identity: 68,
  revNat: 72,
  ctFlags: 76,
  entry: 80,
  verdict: 84,
  proxyPort: 88,
  authType: 92,
  masks: 128,
} as const;

/** Of a call. */
const INGRESS = 1;
const CHECK_SOURCE = 2;
const LOOK_FOR_SERVICE = 4;
const FORWARD_ONLY = 8;
const ASK_POLICY = 16;
/** Of the block. */
const CT_ACCOUNTING = 1;
const POLICY_ACCOUNTING = 2;
const SERVICE_PROTOCOLS = 4;
const NO_PORT = 0x1_0000;

/** Answers: CT_* in the low bits, and what else is to say. */
export const NOT_USUAL = -1;
export const KNOWN_STATUS = 3;
const REPORT = 4;
/** An entry that says nothing but that the connection is known; policy, where asked, lets it through. */
export const KNOWN_PLAIN = 8;
const NAMES_IDENTITY = 16;
/** The policy entry has no counter yet. */
export const KNOWN_UNCOUNTED = 32;

type LookUp = (
  block: Address,
  mode: number,
  at: Address,
  len: number,
  now: number,
  source: Address,
  root: Address,
  endpoint: number,
  identity: number,
) => number;

const codes = new WeakMap<Memory, LookUp>();

function codeOf(memory: Memory): LookUp {
  let code = codes.get(memory);
  if (code === undefined) {
    code = instantiate(Buffer.from(KNOWN_WASM, 'base64'), memory.wasm).lookUp as LookUp;
    codes.set(memory, code);
  }
  return code;
}

/**
 * All lookups of an IPv4 packet in one call of WebAssembly on the same memory (assembly/known.ts): that it is no service's,
 * its connection, who its peer is, what policy says, and the counters of all that. For TCP and UDP that is no fragment, and
 * neither begins nor ends a connection that conntrack knows; for the rest it answers NOT_USUAL and has changed nothing, and
 * the programs make the lookups one by one. Both give the same; explained packets always go the long way.
 */
export class Known {
  readonly #memory: Memory;
  readonly #lookUp: LookUp;
  readonly #block: Address;
  readonly #fromPod: number;

  /** @throws MapError ENOMEM */
  constructor(
    memory: Memory,
    config: DatapathConfig,
    fam: Family,
    ipcacheRoot: Address,
    stats: PerCpuHashMap,
    block: Address,
  ) {
    this.#memory = memory;
    this.#lookUp = codeOf(memory);
    this.#block = block;
    this.#fromPod =
      (config.sipVerification ? CHECK_SOURCE : 0) | (hasPerPacketLb(config) ? LOOK_FOR_SERVICE : 0) | ASK_POLICY;
    const { u32 } = memory;
    const set = (offset: number, value: number): void => {
      u32[(block + offset) >> 2] = value;
    };
    const table = (offset: number, { buckets, bucketMask }: HashMap | PerCpuHashMap): void => {
      set(offset, buckets);
      set(offset + 4, bucketMask);
    };
    table(BLOCK.ctTcp, fam.ctTcp);
    table(BLOCK.ctAny, fam.ctAny);
    table(BLOCK.services, fam.services);
    table(BLOCK.stats, stats);
    set(BLOCK.statsCpu, stats.cpuOffset);
    set(BLOCK.ipcacheRoot, ipcacheRoot);
    set(BLOCK.tuple, fam.tuple);
    set(BLOCK.tunnelPort, config.tunnelMode ? htons(config.node.tunnelPort) : NO_PORT);
    set(
      BLOCK.options,
      (config.ctAccounting ? CT_ACCOUNTING : 0) |
        (config.policyAccounting ? POLICY_ACCOUNTING : 0) |
        (config.serviceProtocolDifferentiation ? SERVICE_PROTOCOLS : 0),
    );
    set(BLOCK.world, fam.world);
    set(BLOCK.loopback, hasPerPacketLb(config) ? config.node.serviceLoopbackIpv4 : 0);
    for (let bits = 0; bits <= 64; bits++)
      for (let bit = 0; bit < bits; bit++) memory.u8[block + BLOCK.masks + 8 * bits + (bit >> 3)]! |= 0x80 >> (bit & 7);
  }

  /** Bytes of the block that the constructor wants. */
  static readonly blockBytes = BLOCK.size;

  /** A pod sent the packet. @returns NOT_USUAL, or a status and KNOWN_* bits */
  fromPod(skb: Skb, ep: EndpointProgram, now: number): number {
    const mode = this.#fromPod;
    return this.#lookUp(this.#block, mode, skb.data, skb.len, now, ep.ipv4, ep.policy.root, ep.id, 0);
  }

  /** The same once services are done with. @param forwardOnly of a service; @param asksPolicy unless it comes back to the pod */
  routed(skb: Skb, ep: EndpointProgram, now: number, forwardOnly: boolean, asksPolicy: boolean): number {
    const mode = (forwardOnly ? FORWARD_ONLY : 0) | (asksPolicy ? ASK_POLICY : 0);
    return this.#lookUp(this.#block, mode, skb.data, skb.len, now, NULL, ep.policy.root, ep.id, 0);
  }

  /** Someone with `identity` sent it to the pod. */
  toPod(skb: Skb, ep: EndpointProgram, now: number, identity: number): number {
    return this.#lookUp(
      this.#block,
      INGRESS | ASK_POLICY,
      skb.data,
      skb.len,
      now,
      NULL,
      ep.policy.root,
      ep.id,
      identity,
    );
  }

  /** `struct remote_endpoint_info` of the destination that the last call found, or NULL; and its identity. */
  get info(): Address {
    return this.#memory.u32[(this.#block + BLOCK.info) >> 2]!;
  }
  get identity(): number {
    return this.#memory.u32[(this.#block + BLOCK.identity) >> 2]!;
  }

  /** What policy said in the last call, if it was asked: CTX_ACT_OK or a drop code. */
  get verdict(): number {
    return this.#memory.i32[(this.#block + BLOCK.verdict) >> 2]!;
  }

  /** What conntrack found, into `state`. @param answer of the call, not NOT_USUAL */
  conntrack(answer: number, state: CtState): void {
    state.reset();
    if ((answer & KNOWN_PLAIN) === 0) {
      const { u32 } = this.#memory;
      const at = this.#block >> 2;
      setCtState(state, u32[at + (BLOCK.ctFlags >> 2)]!, ntohs(u32[at + (BLOCK.revNat >> 2)]!));
    }
    state.monitor = (answer & REPORT) !== 0 ? TRACE_PAYLOAD_LEN : 0;
  }

  /** What policy said, into `out`. @returns CTX_ACT_OK or a drop code */
  policy(answer: number, out: PolicyVerdict): number {
    const m = this.#memory;
    const at = this.#block >> 2;
    out.audited = false;
    out.entry = m.u32[at + (BLOCK.entry >> 2)]!;
    out.namesIdentity = (answer & NAMES_IDENTITY) !== 0;
    out.matchType =
      out.entry === NULL ? POLICY_MATCH_NONE : matchType(lpmPrefixLength(m, out.entry), out.namesIdentity);
    out.proxyPort = m.u32[at + (BLOCK.proxyPort >> 2)]!;
    out.authType = m.u32[at + (BLOCK.authType >> 2)]!;
    return this.verdict;
  }
}

/** Is it a packet of a connection that goes on, with nothing special about it? */
export const isPlainEstablished = (answer: number): boolean =>
  answer >= 0 && (answer & (KNOWN_PLAIN | KNOWN_STATUS)) === (KNOWN_PLAIN | CT_ESTABLISHED);
