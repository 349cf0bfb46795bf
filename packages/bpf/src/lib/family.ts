import type { Address, HashMap, HashOfMaps, LpmTrie, Memory, Scratch } from '@ciliate/maps';
import { ETH_P_IP, ETH_P_IPV6, IPPROTO_ICMP, IPPROTO_ICMPV6 } from '@ciliate/packet';
import type { DatapathConfig, Words } from '../config.ts';
import { openPinned, shardMapName } from '../maps.ts';
import type { Skb } from '../skb.ts';
import { ETH_HLEN, WORLD_ID, WORLD_IPV4_ID, WORLD_IPV6_ID } from './common.ts';

/** Offsets that differ between the two families' headers and map structs. Sources: layouts.json; RFC 791, RFC 8200. */
interface Layout {
  /** 32-bit words of an address. */
  readonly words: number;
  readonly headerLength: number;
  /** In the IP header. */
  readonly saddr: number;
  readonly daddr: number;
  /** `struct ipvX_ct_tuple`: daddr at 0. */
  readonly tuple: { readonly size: number; readonly saddr: number; readonly dport: number; readonly nexthdr: number };
  /** `struct lbX_key`: address at 0, then dport, backend_slot, proto, scope. */
  readonly lbKey: { readonly size: number; readonly dport: number };
  /** `struct lbX_affinity_key`: the client at 0. */
  readonly affinityKey: { readonly size: number; readonly revNatId: number };
  /** `struct ipvX_nat_entry`: the address at 32, then the port. */
  readonly natEntry: { readonly size: number; readonly port: number };
  /** `struct ipvX_frag_id`. */
  readonly fragId: { readonly size: number; readonly id: number; readonly proto: number };
}

const LAYOUT4: Layout = {
  words: 1,
  headerLength: 20,
  saddr: 12,
  daddr: 16,
  tuple: { size: 14, saddr: 4, dport: 8, nexthdr: 12 },
  lbKey: { size: 12, dport: 4 },
  affinityKey: { size: 16, revNatId: 8 },
  natEntry: { size: 40, port: 36 },
  fragId: { size: 12, id: 8, proto: 10 },
};
const LAYOUT6: Layout = {
  words: 4,
  headerLength: 40,
  saddr: 8,
  daddr: 24,
  tuple: { size: 38, saddr: 16, dport: 32, nexthdr: 36 },
  lbKey: { size: 24, dport: 16 },
  affinityKey: { size: 24, revNatId: 16 },
  natEntry: { size: 56, port: 48 },
  fragId: { size: 40, id: 0, proto: 4 },
};

/** Where a backend's and a reverse NAT entry's port lie: behind the address. */
export const ADDRESS_BYTES = 4;

/**
 * IPv4 or IPv6 as the programs of one worker see it: where things lie in headers and structs, the maps of the family, and
 * the stack its keys are built on. The programs' code is the same for both; what differs in meaning asks `isV6`.
 */
export class Family {
  readonly isV6: boolean;
  readonly layout: Layout;
  /** Of `layout`, what every packet needs. */
  readonly words: number;
  readonly headerLength: number;
  readonly tupleSaddr: number;
  readonly tupleDport: number;
  readonly tupleNexthdr: number;
  readonly lbKeyDport: number;
  /** From the frame's start. */
  readonly #saddr: number;
  readonly #daddr: number;
  readonly ethType: number;
  readonly icmp: number;
  /** Of `struct endpoint_key` and `struct ipcache_key`. */
  readonly endpointFamily: number;
  /** Identity of what the ipcache does not know. */
  readonly world: number;
  readonly fragments: boolean;
  readonly masquerade: boolean;

  readonly ctTcp: HashMap;
  readonly ctAny: HashMap;
  readonly services: HashMap;
  readonly backends: HashMap;
  readonly revNat: HashMap;
  readonly affinity: HashMap;
  readonly sourceRange: LpmTrie;
  readonly maglev: HashOfMaps;
  readonly snat: HashMap;
  readonly neighbours: HashMap;
  readonly frags: HashMap;

  /** Conntrack's tuple of the packet, a service's, and one for whoever needs a third. */
  readonly tuple: Address;
  readonly lbTuple: Address;
  readonly otherTuple: Address;
  readonly lbKey: Address;
  readonly affinityKey: Address;
  readonly sourceRangeKey: Address;
  readonly fragKey: Address;
  readonly natTuple: Address;
  readonly natEntry: Address;
  /** Where the node's own addresses of this family lie: what pods are masqueraded as, node-port traffic comes from. */
  readonly masqueradeAddress: Address;
  readonly directRoutingAddress: Address;
  /** As which the node speaks in the tunnel. */
  readonly gatewayAddress: Address;
  /** 16 bytes: the packet's source before translation, as trace notifications carry it. */
  readonly origSaddr: Address;

  /** @param scratch gives the structs below their place */
  constructor(memory: Memory, scratch: Scratch, config: DatapathConfig, isV6: boolean, shard: number) {
    const n = isV6 ? 6 : 4;
    const layout = isV6 ? LAYOUT6 : LAYOUT4;
    this.isV6 = isV6;
    this.layout = layout;
    this.words = layout.words;
    this.headerLength = layout.headerLength;
    this.tupleSaddr = layout.tuple.saddr;
    this.tupleDport = layout.tuple.dport;
    this.tupleNexthdr = layout.tuple.nexthdr;
    this.lbKeyDport = layout.lbKey.dport;
    this.#saddr = ETH_HLEN + layout.saddr;
    this.#daddr = ETH_HLEN + layout.daddr;
    this.ethType = isV6 ? ETH_P_IPV6 : ETH_P_IP;
    this.icmp = isV6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
    this.endpointFamily = isV6 ? 2 : 1;
    const isDual = config.ipv4 && config.ipv6;
    this.world = !isDual ? WORLD_ID : isV6 ? WORLD_IPV6_ID : WORLD_IPV4_ID;
    this.fragments = isV6 ? config.ipv6Fragments : config.ipv4Fragments;
    this.masquerade = isV6 ? config.masqueradeIpv6 : config.masqueradeIpv4;

    const sharded = (name: string): HashMap => openPinned(memory, shardMapName(name, shard));
    this.ctTcp = sharded(`cilium_ct${n}_global`);
    this.ctAny = sharded(`cilium_ct_any${n}_global`);
    this.affinity = sharded(`cilium_lb${n}_affinity`);
    this.snat = sharded(`cilium_snat_v${n}_external`);
    this.neighbours = sharded(`cilium_nodeport_neigh${n}`);
    this.frags = sharded(`cilium_ipv${n}_frag_datagrams`);
    this.services = openPinned(memory, `cilium_lb${n}_services_v2`);
    this.backends = openPinned(memory, `cilium_lb${n}_backends_v3`);
    this.revNat = openPinned(memory, `cilium_lb${n}_reverse_nat`);
    this.sourceRange = openPinned(memory, `cilium_lb${n}_source_range`);
    this.maglev = openPinned(memory, `cilium_lb${n}_maglev`);

    this.tuple = scratch.take(layout.tuple.size);
    this.lbTuple = scratch.take(layout.tuple.size);
    this.otherTuple = scratch.take(layout.tuple.size);
    this.lbKey = scratch.take(layout.lbKey.size);
    this.affinityKey = scratch.take(layout.affinityKey.size);
    this.sourceRangeKey = scratch.take(8 + 4 * layout.words);
    this.fragKey = scratch.take(layout.fragId.size);
    this.natTuple = scratch.take(layout.tuple.size);
    this.natEntry = scratch.take(layout.natEntry.size);
    this.origSaddr = scratch.take(16);
    const { node } = config;
    const own = (ipv4: number, ipv6: Words): Address => {
      const at = scratch.take(16);
      for (const [i, word] of (isV6 ? ipv6 : [ipv4]).entries()) memory.u32[(at >> 2) + i] = word;
      return at;
    };
    this.masqueradeAddress = own(node.masqueradeIpv4, node.masqueradeIpv6);
    this.directRoutingAddress = own(node.directRoutingIpv4, node.directRoutingIpv6);
    this.gatewayAddress = own(node.gatewayIpv4, node.routerIpv6);
  }

  /** Addresses of the packet's source and destination address. */
  saddr(skb: Skb): Address {
    return skb.data + this.#saddr;
  }

  daddr(skb: Skb): Address {
    return skb.data + this.#daddr;
  }

  copyAddress(m: Memory, to: Address, from: Address): void {
    const { u32 } = m;
    u32[to >> 2] = u32[from >> 2]!;
    if (this.isV6) for (let i = 1; i < 4; i++) u32[(to >> 2) + i] = u32[(from >> 2) + i]!;
  }

  sameAddress(m: Memory, a: Address, b: Address): boolean {
    for (let i = 0; i < this.words; i++) if (m.u32[(a >> 2) + i] !== m.u32[(b >> 2) + i]) return false;
    return true;
  }

  /** The conntrack map of a protocol. */
  ctMap(nexthdr: number): HashMap {
    return nexthdr === 6 ? this.ctTcp : this.ctAny;
  }
}
