import type { DatapathConfig } from '@ciliate/bpf';
import {
  ETH_P_IP,
  ETH_P_IPV6,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  ipv6ExtensionLength,
  isIcmpEcho,
  isIcmpError,
  isIpv6Extension,
  NEXTHDR_FRAGMENT,
} from '@ciliate/packet';
import type { FragmentTable } from './fragment_table.ts';
import { LOCAL_POD, NODE, OUTSIDE, type Places } from './places.ts';
import { mixWords } from './word_table.ts';

const MAX_EXTENSIONS = 4;
/** What stands for the node's address, and for a service, in a hash. */
const NODE_WORD = 0x4e4f4445;
const SERVICE_WORD = 0x53455256;

/**
 * Says which connection a packet belongs to: `steer` sets the fields. All packets of a connection get one `shard`: both
 * directions, before and after translation, errors about it, fragments. It knows nothing but the packet, the services and
 * the node's addresses (and the first fragments it has seen), so any thread that sees a whole trace says the same.
 *
 * - A service and its backends count as one place (`Places`).
 * - With session affinity the client's port does not count: its next connection depends on this one.
 * - Where NAT may put the node's address and a port of its choice for a pod's or a client's, neither counts, only the other
 *   end: then connections that NAT must tell apart meet in one shard, and their answers too.
 */
export class Steering {
  shard = 0;
  /** 64 bits that tell the connection from others, as a user would: with ports and addresses. */
  flowLow = 0;
  flowHigh = 0;

  readonly #places: Places;
  readonly #shards: number;
  readonly #loopback: number;
  readonly #masquerade4: boolean;
  readonly #masquerade6: boolean;
  readonly #nat: boolean;
  readonly #fragments: FragmentTable;
  // The tuple of the packet, as it came.
  readonly #a = new Int32Array(4);
  readonly #b = new Int32Array(4);
  #aPort = 0;
  #bPort = 0;

  /** @param fragments not asked but for packets that `dependsOnOthers` */
  constructor(places: Places, config: DatapathConfig, shards: number, fragments: FragmentTable) {
    this.#places = places;
    this.#fragments = fragments;
    this.#shards = shards;
    const { node, masqueradeIpv4, masqueradeIpv6 } = config;
    this.#loopback = ntohl(node.serviceLoopbackIpv4);
    this.#masquerade4 = masqueradeIpv4;
    this.#masquerade6 = masqueradeIpv6;
    this.#nat = masqueradeIpv4 || masqueradeIpv6 || (config.nodePort && places.groups.some(({ remote }) => remote));
  }

  /** @param at of the Ethernet header in `u8`; the frame has `length` bytes. Allocates nothing but for the first fragment of a datagram. */
  steer(u8: Uint8Array, at: number, length: number): void {
    const end = at + length;
    const type = length >= 14 ? (u8[at + 12]! << 8) | u8[at + 13]! : 0;
    if (type === ETH_P_IP && length >= 34) this.#ipv4(u8, at + 14, end, false);
    else if (type === ETH_P_IPV6 && length >= 54) this.#ipv6(u8, at + 14, end, false);
    else {
      this.shard = 0;
      this.flowLow = type;
      this.flowHigh = 0;
    }
  }

  #ipv4(u8: Uint8Array, ip: number, end: number, quoted: boolean): void {
    const protocol = u8[ip + 9]!;
    this.#a[0] = word(u8, ip + 12);
    this.#b[0] = word(u8, ip + 16);
    for (let i = 1; i < 4; i++) this.#a[i] = this.#b[i] = 0;
    const fragment = half(u8, ip + 6);
    const l4 = ip + ((u8[ip]! & 15) << 2);
    const id = half(u8, ip + 4);
    if ((fragment & 0x3fff) === 0 || quoted) this.#transport(u8, l4, end, protocol, false, quoted);
    else this.#fragment(u8, l4, end, protocol, false, (fragment & 0x1fff) === 0, id);
  }

  #ipv6(u8: Uint8Array, ip: number, end: number, quoted: boolean): void {
    for (let i = 0; i < 4; i++) {
      this.#a[i] = word(u8, ip + 8 + 4 * i);
      this.#b[i] = word(u8, ip + 24 + 4 * i);
    }
    let next = u8[ip + 6]!;
    let at = ip + 40;
    for (let i = 0; i < MAX_EXTENSIONS && isIpv6Extension(next) && at + 8 <= end; i++) {
      if (next === NEXTHDR_FRAGMENT && !quoted) {
        const bits = half(u8, at + 2);
        const id = word(u8, at + 4);
        if ((bits & 0xfff9) !== 0) {
          this.#fragment(u8, at + 8, end, u8[at]!, true, (bits & 0xfff8) === 0, id);
          return;
        }
      }
      const following = u8[at]!;
      at += ipv6ExtensionLength(u8, at, next);
      next = following;
    }
    this.#transport(u8, at, end, next, true, quoted);
  }

  /** The first fragment of a datagram has the ports; the others follow it. */
  #fragment(u8: Uint8Array, l4: number, end: number, protocol: number, v6: boolean, first: boolean, id: number): void {
    if (first) {
      const [source, destination] = [this.#a.slice(), this.#b.slice()]; // #transport may change them
      this.#transport(u8, l4, end, protocol, v6);
      this.#fragments.set(source, destination, protocol, id, this.shard, this.flowLow, this.flowHigh);
      return;
    }
    const fragments = this.#fragments;
    if (!fragments.find(this.#a, this.#b, protocol, id)) {
      this.#connection(0, 0, protocol, v6);
      return;
    }
    this.shard = fragments.shard;
    this.flowLow = fragments.flowLow;
    this.flowHigh = fragments.flowHigh;
  }

  #transport(u8: Uint8Array, l4: number, end: number, protocol: number, v6: boolean, quoted = false): void {
    if (protocol === IPPROTO_TCP || protocol === IPPROTO_UDP || protocol === IPPROTO_SCTP) {
      if (l4 + 4 > end) this.#connection(0, 0, protocol, v6);
      else this.#connection(half(u8, l4), half(u8, l4 + 2), protocol, v6);
      return;
    }
    const isIcmp = protocol === (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP) && l4 + 8 <= end;
    const inner = l4 + 8;
    if (isIcmp && isIcmpEcho(u8[l4]!, v6)) this.#connection(half(u8, l4 + 4), half(u8, l4 + 4), protocol, v6);
    else if (quoted || !isIcmp || !isIcmpError(u8[l4]!, v6) || inner + (v6 ? 40 : 20) > end)
      this.#connection(0, 0, protocol, v6);
    // An error goes with the packet that it quotes.
    else if (v6) this.#ipv6(u8, inner, end, true);
    else this.#ipv4(u8, inner, end, true);
  }

  #connection(aPort: number, bPort: number, protocol: number, v6: boolean): void {
    const a = this.#a;
    const b = this.#b;
    if (!v6) {
      // A pod that is its own backend: it sees the loopback address in its place.
      if (a[0] === this.#loopback) a[0] = b[0]!;
      else if (b[0] === this.#loopback) b[0] = a[0]!;
    }
    this.#aPort = aPort;
    this.#bPort = bPort;
    const places = this.#places;
    const aGroup = places.groupOf(a[0]!, a[1]!, a[2]!, a[3]!, aPort, protocol);
    const bGroup = places.groupOf(b[0]!, b[1]!, b[2]!, b[3]!, bPort, protocol);
    const aFlow = aGroup >= 0 ? mixWords(SERVICE_WORD, aGroup) : endWord(a, aPort);
    const bFlow = bGroup >= 0 ? mixWords(SERVICE_WORD, bGroup) : endWord(b, bPort);
    this.flowLow = mixWords((aFlow + bFlow) | 0, protocol) >>> 0;
    this.flowHigh = mixWords(mixWords(aFlow, 0x5bd1e995) ^ mixWords(bFlow, 0x5bd1e995), protocol) >>> 0;
    const isPlain = !this.#nat && (aGroup < 0 || !places.groups[aGroup]!.sticky);
    let sum = (aFlow + bFlow) | 0;
    if (!isPlain || (bGroup >= 0 && places.groups[bGroup]!.sticky))
      sum = this.#reduced(aGroup, bGroup, aFlow, bFlow, protocol, v6);
    this.shard = ((mixWords(sum, protocol) >>> 4) & 0xffff) % this.#shards;
  }

  /** As `aFlow + bFlow`, without what does not count. */
  #reduced(aGroup: number, bGroup: number, aFlow: number, bFlow: number, protocol: number, v6: boolean): number {
    const places = this.#places;
    const [a, b] = [this.#a, this.#b];
    const aKind = places.kindOf(a[0]!, a[1]!, a[2]!, a[3]!);
    const bKind = places.kindOf(b[0]!, b[1]!, b[2]!, b[3]!);
    const aHidden = this.#isHidden(aKind, bKind, aGroup, bGroup, v6);
    const bHidden = this.#isHidden(bKind, aKind, bGroup, aGroup, v6);
    // An echo has one identifier, which NAT changes too.
    const isEchoOfNode = (aHidden || bHidden) && protocol === (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
    const aPort = isEchoOfNode || this.#isSticky(bGroup) ? 0 : this.#aPort;
    const bPort = isEchoOfNode || this.#isSticky(aGroup) ? 0 : this.#bPort;
    const aWord = aHidden ? NODE_WORD : aGroup >= 0 ? aFlow : endWord(a, aPort);
    const bWord = bHidden ? NODE_WORD : bGroup >= 0 ? bFlow : endWord(b, bPort);
    return (aWord + bWord) | 0;
  }

  /** Is this end one that NAT may show as the node? Its place is then not that of a service. */
  #isHidden(kind: number, otherKind: number, group: number, otherGroup: number, v6: boolean): boolean {
    if (!this.#nat || group >= 0) return false;
    const masquerades = v6 ? this.#masquerade6 : this.#masquerade4;
    if (kind === LOCAL_POD) return masquerades && otherKind === OUTSIDE;
    return kind === NODE || (otherGroup >= 0 && this.#places.groups[otherGroup]!.remote);
  }

  #isSticky(group: number): boolean {
    return group >= 0 && this.#places.groups[group]!.sticky;
  }
}

/** May other packets have to say where this one belongs, as a datagram's first fragment says for the rest? */
export function dependsOnOthers(u8: Uint8Array, at: number, length: number): boolean {
  const type = length >= 34 ? (u8[at + 12]! << 8) | u8[at + 13]! : 0;
  if (type === ETH_P_IP) return (half(u8, at + 20) & 0x3fff) !== 0;
  return type === ETH_P_IPV6 && length >= 54 && isIpv6Extension(u8[at + 20]!);
}

const word = (u8: Uint8Array, at: number): number =>
  (u8[at]! << 24) | (u8[at + 1]! << 16) | (u8[at + 2]! << 8) | u8[at + 3]!;

const half = (u8: Uint8Array, at: number): number => (u8[at]! << 8) | u8[at + 1]!;

const endWord = (address: Int32Array, port: number): number =>
  mixWords(mixWords(mixWords(address[0]!, address[1]!), mixWords(address[2]!, address[3]!)), port);

const ntohl = (be32: number): number => (be32 << 24) | ((be32 & 0xff00) << 8) | ((be32 >>> 8) & 0xff00) | (be32 >>> 24);
