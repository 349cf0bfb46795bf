import { type Address, NULL } from '@ciliate/maps';
import { ETH } from '@ciliate/packet';
import type { Datapath } from '../datapath.ts';
import type { Skb } from '../skb.ts';
import { CTX_ACT_OK, ETH_HLEN } from './common.ts';
import { csumDiff, csumReplace } from './csum.ts';
import { DROP_TTL_EXCEEDED } from './drop_reasons.ts';
import type { Family } from './family.ts';
import { type Site, sendTimeExceeded } from './icmp6.ts';

/** Sets Ethernet addresses: 6 bytes at each address, NULL leaves one as it is. */
export function setMacs(skb: Skb, smac: Address, dmac: Address): void {
  const { u16 } = skb.memory;
  if (smac !== NULL) copyMac(u16, (skb.data + ETH.src) >> 1, smac >> 1);
  if (dmac !== NULL) copyMac(u16, (skb.data + ETH.dst) >> 1, dmac >> 1);
}

/** Three half words: `copyWithin` costs as much as a map lookup. */
function copyMac(u16: Uint16Array, to: number, from: number): void {
  u16[to] = u16[from]!;
  u16[to + 1] = u16[from + 1]!;
  u16[to + 2] = u16[from + 2]!;
}

/**
 * ipv4_l3, ipv6_l3: one hop less to live, new Ethernet addresses.
 * @param direction METRIC_*
 * @returns CTX_ACT_OK; a drop code; or, in IPv6, how the packet ends as an answer "time exceeded" (not to be told again)
 */
export function routeL3(
  dp: Datapath,
  fam: Family,
  skb: Skb,
  site: Site,
  direction: number,
  smac: Address,
  dmac: Address,
): number {
  const { u8 } = skb.memory;
  const ip = skb.data + ETH_HLEN;
  const at = ip + (fam.isV6 ? 7 : 8);
  const ttl = u8[at]!;
  if (ttl <= 1) return fam.isV6 ? sendTimeExceeded(dp, skb, site, direction) : DROP_TTL_EXCEEDED;
  u8[at] = ttl - 1;
  if (!fam.isV6) csumReplace(skb.memory, ip + 10, csumDiff(0, ttl, ttl - 1)); // TTL is the low byte of a word as loaded
  setMacs(skb, smac, dmac);
  return CTX_ACT_OK;
}
