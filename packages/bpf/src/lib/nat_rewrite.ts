import { type Address, NULL } from '@ciliate/maps';
import { IPPROTO_ICMP, IPPROTO_SCTP } from '@ciliate/packet';
import type { Datapath } from '../datapath.ts';
import type { Skb } from '../skb.ts';
import { hasPorts } from './conntrack.ts';
import { csumDiff, csumL4Replace, csumOffset, csumReplace } from './csum.ts';
import { DROP_CSUM_L4, DROP_UNKNOWN_L4 } from './drop_reasons.ts';
import type { Family } from './family.ts';

/**
 * snat_vX_rewrite_headers: an address and a port, with all checksums that cover them. ICMP's covers no addresses.
 * @param from,to where the old and the new address lie. @param addrOff in the IP header. @param portOff in the transport header
 */
export function rewriteHeaders(
  dp: Datapath,
  fam: Family,
  skb: Skb,
  nexthdr: number,
  l3Off: number,
  hasL4Header: boolean,
  l4Off: number,
  from: Address,
  to: Address,
  addrOff: number,
  oldPort: number,
  newPort: number,
  portOff: number,
): number {
  const m = dp.memory;
  if (fam.sameAddress(m, from, to) && oldPort === newPort) return 0;
  let diff = 0;
  for (let i = 0; i < fam.words; i++) diff = csumDiff(diff, m.u32[(from >> 2) + i]!, m.u32[(to >> 2) + i]!);
  fam.copyAddress(m, skb.data + l3Off + addrOff, to);
  if (hasL4Header) {
    if (oldPort !== newPort) {
      if (nexthdr === IPPROTO_SCTP) return DROP_CSUM_L4;
      if (!hasPorts(dp, nexthdr) && nexthdr !== fam.icmp) return DROP_UNKNOWN_L4;
      if (!replaceSum(skb, nexthdr, l4Off, csumDiff(0, oldPort, newPort))) return DROP_CSUM_L4;
      m.u16[(skb.data + l4Off + portOff) >> 1] = newPort;
    }
    if (csumOffset(nexthdr) !== 0 && !replaceSum(skb, nexthdr, l4Off, diff)) return DROP_CSUM_L4;
  }
  if (!fam.isV6) csumReplace(m, skb.data + l3Off + 10, diff);
  return 0;
}

/** As csumL4Replace, and ICMP's own sum. */
function replaceSum(skb: Skb, nexthdr: number, l4Off: number, diff: number): boolean {
  if (nexthdr !== IPPROTO_ICMP) return csumL4Replace(skb, nexthdr, l4Off, diff);
  const at = skb.at(l4Off + 2, 2);
  if (at === NULL) return false;
  csumReplace(skb.memory, at, diff);
  return true;
}
