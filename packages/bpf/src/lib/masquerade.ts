import { type Address, ENDPOINT_F_HOST, endpointFlags, NULL, secIdentity } from '@ciliate/maps';
import type { Datapath } from '../datapath.ts';
import type { Skb } from '../skb.ts';
import { CT_EGRESS, identityIsRemoteNode } from './common.ts';
import { ctIsReply, loadTuplePorts } from './conntrack.ts';
import { DROP_CT_UNKNOWN_PROTO } from './drop_reasons.ts';
import { lookupEndpoint, lookupRemoteEndpoint, skipsTunnel } from './endpoints.ts';
import type { Family } from './family.ts';
import { NAT_NEEDED, NAT_PUNT_TO_STACK, type NatTarget } from './nat_entry.ts';
import { setTupleFlags, setTuplePorts, TUPLE_F_OUT, tupleSaddrAt } from './tuple.ts';

// Which packets leave under the node's address. Source: bpf/lib/nat.h.

/** snat_vX_needs_masquerade: NAT_NEEDED, NAT_PUNT_TO_STACK or a drop code. @param tuple natural, without ports */
export function needsMasquerade(dp: Datapath, fam: Family, skb: Skb, tuple: Address, target: NatTarget): number {
  const m = dp.memory;
  if (!fam.masquerade) return NAT_PUNT_TO_STACK;
  const masquerade = fam.masqueradeAddress;
  const saddr = tupleSaddrAt(fam, tuple);
  if (fam.sameAddress(m, saddr, masquerade)) {
    target.addr = masquerade;
    target.needsCt = true;
    return NAT_NEEDED;
  }
  const local = lookupEndpoint(dp, fam, saddr);
  if (local !== NULL) {
    target.fromLocalEndpoint = true;
    const err = loadTuplePorts(dp, fam, tuple, skb, CT_EGRESS);
    if (err === 0) {
      if (ctIsReply(dp, fam, tuple)) return NAT_PUNT_TO_STACK;
      setTuplePorts(m, fam, tuple, 0, 0);
    } else if (err !== DROP_CT_UNKNOWN_PROTO) return err;
    setTupleFlags(m, fam, tuple, TUPLE_F_OUT);
  }
  if (isExcluded(dp, fam, tuple)) return NAT_PUNT_TO_STACK;
  if (local !== NULL && (endpointFlags(m, local) & ENDPOINT_F_HOST) !== 0) return NAT_PUNT_TO_STACK;
  const remote = lookupRemoteEndpoint(dp, fam, tuple);
  if (remote !== NULL && identityIsRemoteNode(secIdentity(m, remote))) {
    if (!dp.config.tunnelMode || skipsTunnel(dp, remote)) return NAT_PUNT_TO_STACK;
  }
  if (local === NULL) return NAT_PUNT_TO_STACK;
  target.addr = masquerade;
  return NAT_NEEDED;
}

function isExcluded(dp: Datapath, fam: Family, daddr: Address): boolean {
  const { u32 } = dp.memory;
  const { snatExclusionIpv4, snatExclusionIpv6 } = dp.config.node;
  if (!fam.isV6)
    return (
      snatExclusionIpv4.mask !== 0 && (u32[daddr >> 2]! & snatExclusionIpv4.mask) >>> 0 === snatExclusionIpv4.network
    );
  if (snatExclusionIpv6.mask[0] === 0) return false;
  for (let i = 0; i < 4; i++)
    if ((u32[(daddr >> 2) + i]! & snatExclusionIpv6.mask[i]!) >>> 0 !== snatExclusionIpv6.network[i]) return false;
  return true;
}
