import type { Address } from '@ciliate/maps';
import { NULL } from '@ciliate/maps';
import type { Datapath } from '../datapath.ts';
import { noteLookup, noteUpdate } from '../explain.ts';
import type { Skb } from '../skb.ts';
import { DROP_CT_INVALID_HDR, DROP_FRAG_NOSUPPORT, DROP_FRAG_NOT_FOUND } from './drop_reasons.ts';
import type { Family } from './family.ts';
import { REASON_FRAG_PACKET_UPDATE } from './metrics.ts';

/**
 * Fills the tuple's dport and sport with the packet's two ports in the order of the wire (so exchanged by name). Only the
 * first fragment of a datagram has them: it leaves them in a map for the others.
 * @param direction of metrics
 * @returns 0 or a drop code. Source: bpf/lib/ipv4.h, ipv4_handle_fragmentation; ipv6.h
 */
export function loadPorts(dp: Datapath, fam: Family, skb: Skb, direction: number, tuple: Address): number {
  const m = dp.memory;
  const { headers } = dp;
  const to = (tuple + fam.tupleDport) >> 1;
  if (!headers.hasL4Header) {
    if (!fam.fragments) return DROP_FRAG_NOSUPPORT;
    setFragmentKey(dp, fam, skb);
    const ports = fam.frags.lookup(fam.fragKey);
    if (dp.steps !== null) noteLookup(dp, fam.frags, fam.fragKey, ports);
    if (ports === NULL) return DROP_FRAG_NOT_FOUND;
    m.u16[to] = m.u16[ports >> 1]!;
    m.u16[to + 1] = m.u16[(ports >> 1) + 1]!;
    return 0;
  }
  const at = skb.at(headers.l4Off, 4);
  if (at === NULL) return DROP_CT_INVALID_HDR;
  m.u16[to] = m.u16[at >> 1]!;
  m.u16[to + 1] = m.u16[(at >> 1) + 1]!;
  if (headers.isFragment && fam.fragments) {
    setFragmentKey(dp, fam, skb);
    const ports = dp.stack.ports;
    m.u16[ports >> 1] = m.u16[to]!;
    m.u16[(ports >> 1) + 1] = m.u16[to + 1]!;
    if (dp.steps !== null) noteUpdate(dp, fam.frags, fam.fragKey, ports);
    if (fam.frags.update(fam.fragKey, ports) !== 0) dp.metrics.update(skb.len, direction, REASON_FRAG_PACKET_UPDATE);
  }
  return 0;
}

/** `struct ipv4_frag_id`: daddr, saddr, id, proto. `struct ipv6_frag_id`: id, proto, saddr, daddr. */
function setFragmentKey(dp: Datapath, fam: Family, skb: Skb): void {
  const m = dp.memory;
  const { fragKey: key, layout } = fam;
  const { id, proto } = layout.fragId;
  fam.copyAddress(m, fam.isV6 ? key + 24 : key, fam.daddr(skb));
  fam.copyAddress(m, fam.isV6 ? key + 8 : key + 4, fam.saddr(skb));
  if (fam.isV6) m.u32[(key + id) >> 2] = dp.headers.fragmentId;
  else m.u16[(key + id) >> 1] = dp.headers.fragmentId;
  m.u8[key + proto] = dp.headers.fragmentProto; // what follows it stays 0
}
