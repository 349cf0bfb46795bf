import {
  type ConntrackShard,
  type GcStats,
  gcConntrack,
  type Memory,
  type NatGcStats,
  NULL,
  pinned,
  purgeOrphanNat,
} from '@ciliate/maps';
import { openPinned, shardMapName } from './maps.ts';

const FAMILIES = [4, 6] as const;

/**
 * What the agent's collector does from time to time, for all shards and both families: connections whose time is over
 * go, with their NAT entries. Time is the memory's clock. To be called while no packet runs, between batches.
 * @throws MapError ENOENT if the maps of the datapath are not there
 */
export function collectGarbage(memory: Memory): GcStats {
  const sum = { deleted: 0, alive: 0 };
  for (const shard of conntrackShards(memory)) {
    const { deleted, alive } = gcConntrack(shard, memory.nowSeconds);
    sum.deleted += deleted;
    sum.alive += alive;
  }
  return sum;
}

/** The same for NAT entries without a connection, which the agent looks for when a program signals SIGNAL_NAT_FILL_UP. */
export function collectOrphanNat(memory: Memory): NatGcStats {
  const sum = { ingressDeleted: 0, ingressAlive: 0, egressDeleted: 0, egressAlive: 0 };
  for (const shard of conntrackShards(memory)) {
    const stats = purgeOrphanNat(shard);
    for (const name of Object.keys(sum) as (keyof NatGcStats)[]) sum[name] += stats[name];
  }
  return sum;
}

function* conntrackShards(memory: Memory): Generator<ConntrackShard> {
  for (let shard = 0; shard === 0 || pinned(memory, shardMapName('cilium_ct4_global', shard)) !== NULL; shard++) {
    for (const n of FAMILIES) {
      yield {
        tcp: openPinned(memory, shardMapName(`cilium_ct${n}_global`, shard)),
        any: openPinned(memory, shardMapName(`cilium_ct_any${n}_global`, shard)),
        nat: openPinned(memory, shardMapName(`cilium_snat_v${n}_external`, shard)),
      };
    }
  }
}
