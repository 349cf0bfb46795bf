export { address6, setAddress6 } from './address6.ts';
export { ArrayMap } from './array.ts';
export { ArrayOfMaps } from './array_of_maps.ts';
export { AUTH_INFO, AUTH_KEY } from './authmap/layout.ts';
export { type Batch, lookupBatch } from './batch.ts';
export { copyBytes } from './bytes.ts';
export { CILIUM_MAPS, type CiliumMap } from './cilium_maps.ts';
export { createMap } from './create_map.ts';
export {
  CT_ANY_MAX,
  CT_TCP_MAX,
  type CtEntry,
  type CtFlagName,
  type CtMaps,
  type CtTuple,
  createCtMaps,
  ctMapName,
  openCtMaps,
  readCtEntry,
  readCtTuple,
} from './ctmap/ctmap.ts';
export { ctEntryText, ctKeyText, ctLine, ctRecord, readTuple, type TupleFields } from './ctmap/dump.ts';
export { type ConntrackShard, type GcStats, gcConntrack, type NatGcStats, purgeOrphanNat } from './ctmap/gc.ts';
export {
  addCtPacket,
  CT_ENTRY,
  CT_ENTRY_FLAG,
  ctBackendId,
  ctBytes,
  ctFlags,
  ctLastRxReport,
  ctLastTxReport,
  ctLifetime,
  ctPackets,
  ctRevNatIndex,
  ctRxFlagsSeen,
  ctSrcSecId,
  ctTxFlagsSeen,
  IPV4_CT_TUPLE,
  setCtBackendId,
  setCtFlags,
  setCtLastRxReport,
  setCtLastTxReport,
  setCtLifetime,
  setCtRevNatIndex,
  setCtRxFlagsSeen,
  setCtSrcSecId,
  setCtTuple4,
  setCtTxFlagsSeen,
} from './ctmap/layout.ts';
export { IPV6_CT_TUPLE } from './ctmap/layout6.ts';
export { type EntryBytes, pinnedCounters, pinnedEntries } from './entries.ts';
export {
  E2BIG,
  EAGAIN,
  EBUSY,
  EEXIST,
  EINVAL,
  ENOENT,
  ENOMEM,
  ENOSPC,
  ENOTSUPP,
  type MapErrno,
  MapError,
} from './errors.ts';
export { EventRing } from './event_ring.ts';
export {
  DEBUG_CAPTURE_MSG,
  DEBUG_MSG,
  DROP_NOTIFY,
  POLICY_VERDICT_NOTIFY,
  POLICY_VERDICT_NOTIFY_MASK,
  TRACE_NOTIFY,
  TRACE_SOCK_NOTIFY,
  TRACE_SOCK_NOTIFY_MASK,
} from './events/layout.ts';
export { type FragmentRecord, fragmentRecord } from './fragmap/dump.ts';
export { IPV4_FRAG_ID, IPV4_FRAG_L4PORTS, IPV6_FRAG_ID, IPV6_FRAG_L4PORTS } from './fragmap/layout.ts';
export { HashMap } from './hash.ts';
export { HashOfMaps } from './hash_of_maps.ts';
export { NODE as HASH_NODE } from './hash_table.ts';
export type { InnerShape } from './inner_map.ts';
export { ipcacheKeyText, ipcacheValueText } from './ipcachemap/dump.ts';
export { IPCACHE_MAP_NAME, type IpcacheEntry, IpcacheMap, type RemoteEndpointInfo } from './ipcachemap/ipcachemap.ts';
export {
  encryptKey,
  IPCACHE_KEY,
  IPCACHE_STATIC_PREFIX_BITS,
  REMOTE_ENDPOINT_FLAG,
  REMOTE_ENDPOINT_INFO,
  remoteEndpointFlags,
  secIdentity,
  setEncryptKey,
  setIpcacheKey4,
  setIpcacheKey6,
  setRemoteEndpointFlags,
  setSecIdentity,
  setTunnelEndpoint,
  tunnelEndpoint,
} from './ipcachemap/layout.ts';
export {
  backendText,
  type MaglevTable,
  maglevTables,
  readBackend,
  revNatText,
  serviceEntryText,
  serviceFlagsText,
  serviceKeyText,
  serviceSlot,
  serviceValueText,
  sourceRangeText,
} from './lbmap/dump.ts';
export { BACKEND_STATE, LB_LOOKUP_SCOPE_EXT, LB_LOOKUP_SCOPE_INT, SERVICE_FLAG } from './lbmap/flags.ts';
export { LB4_BACKEND, LB4_KEY, LB4_REVERSE_NAT, LB4_SERVICE } from './lbmap/layout.ts';
export {
  LB_AFFINITY_MATCH,
  LB_AFFINITY_VAL,
  LB4_AFFINITY_KEY,
  LB4_AFFINITY_KEY_MASK,
  LB6_AFFINITY_KEY,
  LB6_AFFINITY_KEY_MASK,
} from './lbmap/layout_affinity.ts';
export { LB4_SRC_RANGE_KEY, LB6_SRC_RANGE_KEY } from './lbmap/layout_source_range.ts';
export { LB6_BACKEND, LB6_KEY, LB6_REVERSE_NAT, LB6_SERVICE } from './lbmap/layout6.ts';
export {
  type LbAddress,
  type LbBackend,
  LbMaps,
  type LbMapsOptions,
  type LbServiceKey,
  type LbServiceValue,
} from './lbmap/lbmap.ts';
export { LpmTrie } from './lpm_trie.ts';
export { LruHashMap } from './lru_hash.ts';
export { LRU as LRU_NODE } from './lru_list.ts';
export { LruPerCpuHashMap } from './lru_percpu_hash.ts';
export { endpointInfoText, endpointKeyText } from './lxcmap/dump.ts';
export {
  ENDPOINT_F_ATHOSTNS,
  ENDPOINT_F_HOST,
  ENDPOINT_INFO,
  ENDPOINT_KEY,
  endpointFlags,
  endpointIfindex,
  endpointLxcId,
  endpointMacAt,
  endpointNodeMacAt,
  endpointSecId,
  setEndpointKey4,
  setEndpointKey6,
} from './lxcmap/layout.ts';
export { type EndpointInfo, LXC_MAP_NAME, LxcMap, readEndpointInfo } from './lxcmap/lxcmap.ts';
export {
  BPF_ANY,
  BPF_EXIST,
  BPF_MAP_TYPE_ARRAY,
  BPF_MAP_TYPE_ARRAY_OF_MAPS,
  BPF_MAP_TYPE_HASH,
  BPF_MAP_TYPE_HASH_OF_MAPS,
  BPF_MAP_TYPE_LPM_TRIE,
  BPF_MAP_TYPE_LRU_HASH,
  BPF_MAP_TYPE_LRU_PERCPU_HASH,
  BPF_MAP_TYPE_PERCPU_ARRAY,
  BPF_MAP_TYPE_PERCPU_HASH,
  BPF_MAP_TYPE_PERF_EVENT_ARRAY,
  BPF_MAP_TYPE_PROG_ARRAY,
  BPF_MAP_TYPE_RINGBUF,
  BPF_NOEXIST,
  type BpfMap,
  MAP_HEADER,
  type MapEntry,
  type MapSpec,
} from './map.ts';
export { type Address, CLOCK_WORD, Memory, NULL, type WasmMemory } from './memory.ts';
export { type MetricsKeyText, metricsKeyText } from './metricsmap/dump.ts';
export { METRICS_KEY, METRICS_KEY_MASK, METRICS_VALUE } from './metricsmap/layout.ts';
export { natEntryText, natKeyText, natLine, natRecord } from './natmap/dump.ts';
export { IPV4_NAT_ENTRY, IPV6_NAT_ENTRY } from './natmap/layout.ts';
export { NODE_KEY, NODE_VALUE } from './nodemap/layout.ts';
export { openMap } from './open_map.ts';
export { PerCpuArrayMap } from './percpu_array.ts';
export { PerCpuHashMap } from './percpu_hash.ts';
export { PerfEventArray } from './perf_event_array.ts';
export { pin, pinned, pins, unpin } from './pins.ts';
export {
  comparePolicyDumps,
  type PolicyDump,
  policyCells,
  policyIdentity,
  policyPrefixLen,
  policyRecord,
  policyStatsKey,
  portProtoText,
} from './policymap/dump.ts';
export {
  authType,
  hasExplicitAuth,
  isDeny,
  keyDport,
  keyIdentity,
  keyIsEgress,
  keyPrefixlen,
  keyProtocol,
  lpmPrefixLength,
  POLICY_ENTRY,
  POLICY_ENTRY_MASK,
  POLICY_FULL_PREFIX_BITS,
  POLICY_KEY,
  POLICY_PROTOCOL_BITS,
  POLICY_STATIC_PREFIX_BITS,
  proxyPort,
  proxyPortPriority,
  setAuthType,
  setDeny,
  setHasExplicitAuth,
  setLpmPrefixLength,
  setPolicyKey,
  setProxyPort,
  setProxyPortPriority,
} from './policymap/layout.ts';
export {
  type PolicyEntry,
  type PolicyKey,
  PolicyMap,
  policyMapName,
  readPolicyEntry,
  readPolicyKey,
  writePolicyKey,
} from './policymap/policymap.ts';
export { POLICY_STATS_KEY, POLICY_STATS_KEY_MASK, POLICY_STATS_VALUE } from './policymap/stats_layout.ts';
export { ProgArrayMap } from './prog_array.ts';
export { RATELIMIT_KEY, RATELIMIT_VALUE } from './ratelimitmap/layout.ts';
export { Reader } from './readers.ts';
export { BPF_RB_AVAIL_DATA, BPF_RB_CONS_POS, BPF_RB_PROD_POS, BPF_RB_RING_SIZE, RingBufMap } from './ringbuf.ts';
export { Scratch } from './scratch.ts';
export { addressText, be16, hexOf, hostPort, le16, le32, u8protoText } from './text.ts';
