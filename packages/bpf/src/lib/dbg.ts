import { type Address, DEBUG_CAPTURE_MSG, DEBUG_MSG } from '@ciliate/maps';
import type { Datapath } from '../datapath.ts';
import { noteDebug, type Step, type StepSink } from '../explain.ts';
import type { Skb } from '../skb.ts';
import { ntohs } from './common.ts';
import type { Family } from './family.ts';
import { TRACE_PAYLOAD_LEN } from './notify.ts';
import { tupleDport, tupleFlags, tupleNexthdr, tupleSport } from './tuple.ts';

/** Debug messages that the programs here send. Source: bpf/lib/dbg.h. */
export const DBG_LOCAL_DELIVERY = 2;
export const DBG_ENCAP = 3;
export const DBG_POLICY_DENIED = 5;
export const DBG_CT_MATCH = 8;
export const DBG_ICMP6_HANDLE = 11;
export const DBG_ICMP6_NS = 13;
export const DBG_ICMP6_TIME_EXCEEDED = 14;
export const DBG_CT_VERDICT = 15;
export const DBG_DECAP = 16;
/** Of IPv6; those of IPv4 come 8 later. */
const DBG_LB6_LOOKUP_BACKEND_SLOT = 24;
const DBG_LB6_LOOKUP_BACKEND_SLOT_V2_FAIL = 26;
const DBG_LB6_LOOKUP_BACKEND_FAIL = 27;
const DBG_LB6_REVERSE_NAT_LOOKUP = 28;
const DBG_LB6_REVERSE_NAT = 29;
const LB4 = 8;
export const DBG_LB4_LOOPBACK_SNAT = 38;
export const DBG_LB4_LOOPBACK_SNAT_REV = 39;
const DBG_CT_LOOKUP4_1 = 48;
const DBG_CT_LOOKUP4_2 = 49;
export const DBG_CT_CREATED4 = 50;
const DBG_CT_LOOKUP6_1 = 51;
const DBG_CT_LOOKUP6_2 = 52;
export const DBG_CT_CREATED6 = 53;
export const DBG_L4_CREATE = 55;
const DBG_IP_ID_MAP_FAILED4 = 56;
const DBG_IP_ID_MAP_FAILED6 = 57;
const DBG_IP_ID_MAP_SUCCEED4 = 58;
const DBG_IP_ID_MAP_SUCCEED6 = 59;
export const DBG_INHERIT_IDENTITY = 61;
const DBG_L7_LB = 65;

export const DBG_CAPTURE_DELIVERY = 4;
export const DBG_CAPTURE_PROXY_PRE = 8;
export const DBG_CAPTURE_PROXY_POST = 9;

const CILIUM_NOTIFY_DBG_MSG = 2;
const CILIUM_NOTIFY_DBG_CAPTURE = 3;
const NOTIFY_CAPTURE_VER = 1;
/** enum ct_scope. */
const SCOPES = ['forward', 'reverse', 'bidir'] as const;

/** For steps only: an address's last word, be32. */
const lastWord = (dp: Datapath, fam: Family, address: Address): number =>
  dp.memory.u32[(address >> 2) + fam.layout.words - 1]!;

/** What conntrack is asked for, before it looks. */
export function noteCtLookup(
  dp: Datapath,
  fam: Family,
  tuple: Address,
  dir: number,
  scope: (typeof SCOPES)[number],
): void {
  const m = dp.memory;
  const saddr = lastWord(dp, fam, tuple + fam.layout.tuple.saddr);
  const ports = (ntohs(tupleSport(m, fam, tuple)) << 16) | ntohs(tupleDport(m, fam, tuple));
  noteDebug(dp, fam.isV6 ? DBG_CT_LOOKUP6_1 : DBG_CT_LOOKUP4_1, saddr, lastWord(dp, fam, tuple), ports);
  const kind = (tupleNexthdr(m, fam, tuple) << 8) | tupleFlags(m, fam, tuple);
  noteDebug(dp, fam.isV6 ? DBG_CT_LOOKUP6_2 : DBG_CT_LOOKUP4_2, kind, dir, SCOPES.indexOf(scope));
}

const lbMessage = (fam: Family, ofIpv6: number): number => (fam.isV6 ? ofIpv6 : ofIpv6 + LB4);

/** A slot of a service, and what was found in it. @param dport be16 */
export function noteBackendSlot(dp: Datapath, fam: Family, slot: number, dport: number, found: boolean): void {
  noteDebug(dp, lbMessage(fam, DBG_LB6_LOOKUP_BACKEND_SLOT), slot, dport);
  if (!found) noteDebug(dp, lbMessage(fam, DBG_LB6_LOOKUP_BACKEND_SLOT_V2_FAIL), slot, dport);
}

export const noteNoBackend = (dp: Datapath, fam: Family, id: number): void =>
  noteDebug(dp, lbMessage(fam, DBG_LB6_LOOKUP_BACKEND_FAIL), id, 0);

/** @param index be16 */
export const noteRevNatLookup = (dp: Datapath, fam: Family, index: number): void =>
  noteDebug(dp, lbMessage(fam, DBG_LB6_REVERSE_NAT_LOOKUP), index, 0);

/** @param port be16 */
export const noteRevNat = (dp: Datapath, fam: Family, address: Address, port: number): void =>
  noteDebug(dp, lbMessage(fam, DBG_LB6_REVERSE_NAT), lastWord(dp, fam, address), port);

/** The tuple's addresses are exchanged by then. @param proxyPort host order */
export const noteL7Lb = (dp: Datapath, fam: Family, tuple: Address, proxyPort: number): void =>
  noteDebug(dp, DBG_L7_LB, lastWord(dp, fam, tuple), lastWord(dp, fam, tuple + fam.layout.tuple.saddr), proxyPort);

/** Whose address the ipcache says it is. */
export function noteIdentity(dp: Datapath, fam: Family, address: Address, identity: number, found: boolean): void {
  const failed = fam.isV6 ? DBG_IP_ID_MAP_FAILED6 : DBG_IP_ID_MAP_FAILED4;
  const succeeded = fam.isV6 ? DBG_IP_ID_MAP_SUCCEED6 : DBG_IP_ID_MAP_SUCCEED4;
  noteDebug(dp, found ? succeeded : failed, lastWord(dp, fam, address), identity);
}

/**
 * The programs as if compiled with DEBUG: puts itself in the place of `Datapath.steps` and sends each debug message and
 * each capture to the ring, in order with the other notifications. Set `dp.steps` to null to end it.
 */
export class DebugNotifications implements StepSink {
  /** EVENT_SOURCE: endpoint id of the program that runs. */
  source = 0;
  readonly #dp: Datapath;
  readonly #skb: Skb;
  readonly #next: StepSink | undefined;

  /** @param next also gets each step */
  constructor(dp: Datapath, skb: Skb, next?: StepSink) {
    this.#dp = dp;
    this.#skb = skb;
    this.#next = next;
  }

  push(step: Step): void {
    this.#next?.push(step);
    if (step.kind === 'debug') this.#message(step.subType, step.arg1, step.arg2, step.arg3);
    else if (step.kind === 'debug-capture') this.#capture(step.subType, step.arg1);
    else if (step.kind === 'local-delivery') this.source = step.to; // its program runs by tail call
  }

  #message(subType: number, arg1: number, arg2: number, arg3: number): void {
    const { u32 } = this.#dp.memory;
    const at = this.#header(CILIUM_NOTIFY_DBG_MSG, subType);
    u32[(at + DEBUG_MSG.arg1) >> 2] = arg1;
    u32[(at + DEBUG_MSG.arg2) >> 2] = arg2;
    u32[(at + DEBUG_MSG.arg3) >> 2] = arg3;
    this.#dp.events.output(at, DEBUG_MSG.size);
  }

  #capture(subType: number, arg1: number): void {
    const { u16, u32 } = this.#dp.memory;
    const { len, data } = this.#skb;
    const cap = Math.min(TRACE_PAYLOAD_LEN, len);
    const at = this.#header(CILIUM_NOTIFY_DBG_CAPTURE, subType);
    u32[(at + DEBUG_CAPTURE_MSG.len_orig) >> 2] = len;
    u16[(at + DEBUG_CAPTURE_MSG.len_cap) >> 1] = cap;
    u16[(at + DEBUG_CAPTURE_MSG.version) >> 1] = NOTIFY_CAPTURE_VER;
    u32[(at + DEBUG_CAPTURE_MSG.arg1) >> 2] = arg1;
    u32[(at + DEBUG_CAPTURE_MSG.arg2) >> 2] = 0;
    this.#dp.events.outputParts(at, DEBUG_CAPTURE_MSG.size, data, cap);
  }

  #header(type: number, subType: number): Address {
    const { u8, u16, u32 } = this.#dp.memory;
    const at = this.#dp.stack.event;
    u8[at] = type;
    u8[at + 1] = subType;
    u16[(at + 2) >> 1] = this.source;
    u32[(at + 4) >> 2] = 0; // skb->hash
    return at;
  }
}
