import { addressText, DEBUG_CAPTURE_MSG, DEBUG_MSG } from '@ciliate/maps';
import { HubbleError } from './errors.ts';

/** A message of the programs that are compiled with DEBUG, or a packet they show: `struct debug_msg`, `debug_capture_msg`. */
export interface DebugEvent {
  type: 'debug' | 'capture';
  /** DBG_* or DBG_CAPTURE_*. */
  subType: number;
  /** Endpoint id of the program; 0 if it is no endpoint's. */
  source: number;
  /** As `cilium-dbg monitor` words it. */
  text: string;
  /** First bytes of the packet; of messages none. */
  packet: Uint8Array;
}

export const EVENT_DEBUG = 2;
export const EVENT_DEBUG_CAPTURE = 3;

export const isDebugEvent = (bytes: Uint8Array): boolean =>
  bytes[0] === EVENT_DEBUG || bytes[0] === EVENT_DEBUG_CAPTURE;

/** @throws HubbleError INVALID for other or shorter bytes. Source: pkg/monitor/datapath_debug.go */
export function parseDebug(bytes: Uint8Array): DebugEvent {
  const isCapture = bytes[0] === EVENT_DEBUG_CAPTURE;
  const layout = isCapture ? DEBUG_CAPTURE_MSG : DEBUG_MSG;
  if (!isDebugEvent(bytes) || bytes.length < layout.size)
    throw new HubbleError('INVALID', 'not a debug event', { type: bytes[0] ?? 0, bytes: bytes.length });
  const v = new DataView(bytes.buffer, bytes.byteOffset, layout.size);
  const subType = v.getUint8(layout.subtype);
  const arg1 = v.getUint32(layout.arg1, true);
  const arg2 = v.getUint32(layout.arg2, true);
  const text = isCapture
    ? `${v.getUint32(DEBUG_CAPTURE_MSG.len_orig, true)} bytes, ${captureText(subType, arg1)}`
    : messageText(subType, arg1, arg2, v.getUint32(DEBUG_MSG.arg3, true));
  return {
    type: isCapture ? 'capture' : 'debug',
    subType,
    source: v.getUint16(layout.source, true),
    text,
    packet: bytes.subarray(isCapture ? layout.size : bytes.length),
  };
}

const CT_STATES = ['New', 'Established', 'Reply', 'Related'];

/** Numbers of bpf/lib/dbg.h. Ports and ids that a program passes as they lie in a header have their bytes exchanged. */
function messageText(subType: number, arg1: number, arg2: number, arg3: number): string {
  switch (subType) {
    case 2:
      return `Attempting local delivery for container id ${arg1} from seclabel ${arg2}`;
    case 3:
      return `Encapsulating to node ${arg1} (0x${arg1.toString(16)}) from seclabel ${arg2}`;
    case 5:
      return `Policy evaluation would deny packet from ${arg1} to ${arg2}`;
    case 8:
      return `CT entry found lifetime=${arg1}, revnat=${swap16(arg2)}`;
    case 11:
      return `Handling ICMPv6 type=${arg1}`;
    case 13:
      return `ICMPv6 neighbour soliciation for address ${arg1.toString(16)}:${arg2.toString(16)}`;
    case 14:
      return 'Sending ICMPv6 time exceeded';
    case 15:
      return `CT verdict: ${CT_STATES[arg1] ?? arg1}, revnat=${swap16(arg2)}`;
    case 16:
      return `Tunnel decap: id=${arg1} flowlabel=${arg2.toString(16)}`;
    case 24:
    case 32:
      return `Service backend slot lookup: slot=${arg1}, dport=${swap16(arg2)}`;
    case 26:
    case 34:
      return `Service backend slot lookup failed: slot=${arg1}, dport=${swap16(arg2)}`;
    case 27:
    case 35:
      return `Backend service lookup failed: backend_id=${arg1}`;
    case 28:
    case 36:
      return `Reverse NAT lookup, index=${swap16(arg1)}`;
    case 29:
      return `Performing reverse NAT, address.p4=${arg1.toString(16)} port=${swap16(arg2)}`;
    case 37:
      return `Performing reverse NAT, address=${ip4(arg1)} port=${swap16(arg2)}`;
    case 38:
      return `Loopback SNAT from=${ip4(arg1)} to=${ip4(arg2)}`;
    case 39:
      return `Loopback reverse SNAT from=${ip4(arg1)} to=${ip4(arg2)}`;
    case 48:
      return `Conntrack lookup 1/2: src=${ip4(arg1)}:${arg3 & 0xffff} dst=${ip4(arg2)}:${arg3 >>> 16}`;
    case 51:
      return `Conntrack lookup 1/2: src=[::${ip6End(arg1)}]:${arg3 & 0xffff} dst=[::${ip6End(arg2)}]:${arg3 >>> 16}`;
    case 49:
    case 52:
      return `Conntrack lookup 2/2: nexthdr=${arg1 >>> 8} flags=${arg1 & 0xff}`;
    case 50:
      return `Conntrack create: proxy-port=${arg1 >>> 16} revnat=${swap16(arg1)} src-identity=${arg2} lb=${ip4(arg3)}`;
    case 53:
      return `Conntrack create: proxy-port=${arg1 >>> 16} revnat=${swap16(arg1)} src-identity=${arg2}`;
    case 55:
      return `Matched L4 policy; creating conntrack src=${arg1} dst=${arg2} dport=${swap16(arg3 >>> 16)} proto=${arg3 & 0xff}`;
    case 56:
      return `Failed to map addr=${ip4(arg1)} to identity`;
    case 57:
      return `Failed to map addr.p4=[::${ip6End(arg1)}] to identity`;
    case 58:
      return `Successfully mapped addr=${ip4(arg1)} to identity=${arg2}`;
    case 59:
      return `Successfully mapped addr.p4=[::${ip6End(arg1)}] to identity=${arg2}`;
    case 61:
      return `Inheriting identity=${arg1} from stack`;
    case 65:
      return `L7 LB from ${ip4(arg1)} to ${ip4(arg2)}: proxy port ${arg3}`;
    default:
      return `Unknown message type=${subType} arg1=${arg1} arg2=${arg2}`;
  }
}

function captureText(subType: number, arg1: number): string {
  switch (subType) {
    case 4:
      return `Delivery to ifindex ${arg1}`;
    case 8:
      return `Packet to proxy port ${swap16(arg1)} (Pre)`;
    case 9:
      return `Packet to proxy port ${swap16(arg1)} (Post)`;
    default:
      return `Unknown message type=${subType} arg1=${arg1}`;
  }
}

const swap16 = (value: number): number => ((value & 0xff) << 8) | ((value >>> 8) & 0xff);
/** @param word be32, as loaded */
const ip4 = (word: number): string => addressText(Uint8Array.of(word, word >>> 8, word >>> 16, word >>> 24));
/** The last four bytes of an IPv6 address. */
const ip6End = (word: number): string => `${swap16(word).toString(16)}:${swap16(word >>> 16).toString(16)}`;
