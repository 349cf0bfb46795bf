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
  const { u8 } = skb.memory;
  if (smac !== NULL) u8.copyWithin(skb.data + ETH.src, smac, smac + 6);
  if (dmac !== NULL) u8.copyWithin(skb.data + ETH.dst, dmac, dmac + 6);
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
