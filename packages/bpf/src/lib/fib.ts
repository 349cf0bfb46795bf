import { type Address, NULL } from '@ciliate/maps';
import type { Datapath } from '../datapath.ts';
import type { Skb } from '../skb.ts';
import { CTX_ACT_REDIRECT } from './common.ts';
import { DROP_NO_FIB } from './drop_reasons.ts';
import type { Family } from './family.ts';
import { redirect } from './icmp6.ts';
import { setMacs } from './l3.ts';

/** What the kernel's routing table and neighbours say about a destination. */
export interface FibEntry {
  readonly ifindex: number;
  /** 6 bytes each in the shared memory; `dmac` NULL: the neighbour is not known, the kernel must ask for it. */
  readonly smac: Address;
  readonly dmac: Address;
}

/** bpf_fib_lookup: the host's routes, which are not Cilium's. @returns undefined if there is none */
export type FibLookup = (fam: Family, saddr: Address, daddr: Address) => FibEntry | undefined;

/** fib_redirect. @param saddr,daddr of the lookup, which need not be the packet's */
export function fibRedirect(dp: Datapath, fam: Family, skb: Skb, saddr: Address, daddr: Address): number {
  const entry = dp.fib(fam, saddr, daddr);
  return entry === undefined ? DROP_NO_FIB : fibDoRedirect(skb, entry);
}

/** fib_do_redirect. */
export function fibDoRedirect(skb: Skb, { ifindex, smac, dmac }: FibEntry): number {
  if (dmac === NULL) {
    redirect(skb, ifindex, 0);
    skb.redirectHelper = 'redirect_neigh';
    return CTX_ACT_REDIRECT;
  }
  setMacs(skb, smac, dmac);
  return redirect(skb, ifindex, 0);
}
