import { openPinned, shardMapName } from '@ciliate/bpf';
import type { BpfMap, Memory } from '@ciliate/maps';

const CT_MAPS = ['cilium_ct4_global', 'cilium_ct_any4_global', 'cilium_ct6_global', 'cilium_ct_any6_global'] as const;

/** The maps of all connections: of both families, all protocols and shards. */
export const openConntrack = (memory: Memory, shards: number): BpfMap[] =>
  CT_MAPS.flatMap((name) =>
    Array.from({ length: shards }, (_, shard) => openPinned<BpfMap>(memory, shardMapName(name, shard))),
  );
