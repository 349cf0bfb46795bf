import { NULL } from '@ciliate/maps';
import { ETH } from '@ciliate/packet';
import type { Datapath, EndpointProgram } from '../datapath.ts';
import type { Skb } from '../skb.ts';
import { CTX_ACT_OK, ETH_HLEN } from './common.ts';
import { redirect } from './icmp6.ts';

/** Offsets behind the Ethernet header. Source: RFC 826 for Ethernet and IPv4. */
const ARP = { size: 28, hardware: 0, op: 6, sha: 8, spa: 14, tha: 18, tpa: 24 };
const ARPHRD_ETHER = 1;
const ARPOP_REQUEST = 1;
const ARPOP_REPLY = 2;
const MAC = 6;

/**
 * tail_handle_arp: a pod's gateway, and whatever else it asks for but its own address, is the host's end of its
 * interface. Source: bpf/lib/arp.h.
 * @returns CTX_ACT_REDIRECT with the answer, or CTX_ACT_OK: the host's stack may know
 */
export function respondToArp(dp: Datapath, ep: EndpointProgram, skb: Skb): number {
  const { u8 } = dp.memory;
  const arp = skb.at(ETH_HLEN, ARP.size);
  if (arp === NULL || !isRequestTo(u8, skb.data, arp, ep.mac)) return CTX_ACT_OK;
  const sender = arp + ARP.sha;
  if (sameBytes(u8, arp + ARP.tpa, ep.ipv4, 4)) return CTX_ACT_OK;
  u8.copyWithin(skb.data + ETH.dst, sender, sender + MAC);
  u8.copyWithin(skb.data + ETH.src, ep.mac, ep.mac + MAC);
  u8[arp + ARP.op + 1] = ARPOP_REPLY;
  const asked = u8.slice(arp + ARP.tpa, arp + ARP.size);
  u8.copyWithin(arp + ARP.tha, sender, sender + MAC + 4);
  u8.copyWithin(sender, ep.mac, ep.mac + MAC);
  u8.set(asked, arp + ARP.spa);
  return redirect(skb, skb.ifindex, 0);
}

function isRequestTo(u8: Uint8Array, eth: number, arp: number, mac: number): boolean {
  const isRequest =
    u8[arp + ARP.op] === 0 &&
    u8[arp + ARP.op + 1] === ARPOP_REQUEST &&
    u8[arp + ARP.hardware] === 0 &&
    u8[arp + ARP.hardware + 1] === ARPHRD_ETHER;
  if (!isRequest) return false;
  let isBroadcast = true;
  for (let i = 0; i < MAC; i++) isBroadcast &&= u8[eth + ETH.dst + i] === 0xff;
  return isBroadcast || sameBytes(u8, eth + ETH.dst, mac, MAC);
}

function sameBytes(u8: Uint8Array, a: number, b: number, bytes: number): boolean {
  for (let i = 0; i < bytes; i++) if (u8[a + i] !== u8[b + i]) return false;
  return true;
}
