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
  return collect(conntrackShards(memory), memory.nowSeconds);
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

function collect(shards: Iterable<ConntrackShard>, nowSeconds: number): GcStats {
  const sum = { deleted: 0, alive: 0, deleteRatio: 0 };
  for (const shard of shards) {
    const { deleted, alive, deleteRatio } = gcConntrack(shard, nowSeconds);
    sum.deleted += deleted;
    sum.alive += alive;
    sum.deleteRatio = Math.max(sum.deleteRatio, deleteRatio);
  }
  return sum;
}

/** Of the collector's interval, in seconds: the first, the shortest, the longest. Source: pkg/defaults, ConntrackGC*. */
const INTERVAL = { start: 300, min: 10, max: 43_200 } as const;

/**
 * When to run next, after a run that deleted `ratio` of the map: sooner than `interval` after much, later after little, the
 * same after nothing. In seconds. Source: pkg/maps/ctmap, calculateInterval.
 */
function nextInterval(interval: number, ratio: number): number {
  if (ratio > 0.25) return Math.max(INTERVAL.min, Math.round(interval * (1 - Math.min(ratio, 0.9))));
  if (ratio > 0 && ratio < 0.05) return Math.min(INTERVAL.max, Math.round(interval * 1.5));
  return interval;
}

/**
 * The collector of one shard, which runs at once and then when the agent's would: its owner calls `run` between packets once
 * the shard's clock has reached `nextSeconds`.
 */
export class ShardCollector {
  nextSeconds = 0;
  readonly #shards: readonly ConntrackShard[];
  #interval: number = INTERVAL.start;

  /** @throws MapError ENOENT if the maps of the shard are not there */
  constructor(memory: Memory, shard: number) {
    this.#shards = familiesOf(memory, shard);
  }

  run(nowSeconds: number): GcStats {
    const stats = collect(this.#shards, nowSeconds);
    this.#interval = nextInterval(this.#interval, stats.deleteRatio);
    this.nextSeconds = nowSeconds + this.#interval;
    return stats;
  }
}

function* conntrackShards(memory: Memory): Generator<ConntrackShard> {
  for (let shard = 0; shard === 0 || pinned(memory, shardMapName('cilium_ct4_global', shard)) !== NULL; shard++)
    yield* familiesOf(memory, shard);
}

const familiesOf = (memory: Memory, shard: number): ConntrackShard[] =>
  FAMILIES.map((n) => ({
    tcp: openPinned(memory, shardMapName(`cilium_ct${n}_global`, shard)),
    any: openPinned(memory, shardMapName(`cilium_ct_any${n}_global`, shard)),
    nat: openPinned(memory, shardMapName(`cilium_snat_v${n}_external`, shard)),
  }));
