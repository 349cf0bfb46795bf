import { shardMapName } from '@ciliate/bpf';
import { type BpfMap, type Memory, NULL, openMap, pinned } from '@ciliate/maps';

/** What a shard's worker remembers of connections. */
const CONNECTION_MAPS = [4, 6].flatMap((n) => [
  `cilium_ct${n}_global`,
  `cilium_ct_any${n}_global`,
  `cilium_lb${n}_affinity`,
  `cilium_snat_v${n}_external`,
  `cilium_ipv${n}_frag_datagrams`,
  `cilium_nodeport_neigh${n}`,
]);

/** Forgets every connection: conntrack, NAT, affinity, fragments, neighbours. No worker may run. */
export function flushConnections(memory: Memory, shards: number): void {
  for (const name of CONNECTION_MAPS)
    for (let shard = 0; shard < shards; shard++) {
      const address = pinned(memory, shardMapName(name, shard));
      if (address === NULL) continue;
      const map: BpfMap = openMap(memory, address);
      for (const { key } of map.entries()) map.delete(key);
    }
}
