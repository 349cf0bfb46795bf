export { ArrayMap } from './array.ts';
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
export { E2BIG, EBUSY, EEXIST, EINVAL, ENOENT, ENOMEM, ENOSPC, type MapErrno, MapError } from './errors.ts';
export { HashMap } from './hash.ts';
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
  setRemoteEndpointFlags,
  setSecIdentity,
  setTunnelEndpoint,
  tunnelEndpoint,
} from './ipcachemap/layout.ts';
export {
  LB_LOOKUP_SCOPE_EXT,
  LB4_BACKEND,
  LB4_KEY,
  LB4_REVERSE_NAT,
  LB4_SERVICE,
  lb4BackendAddress,
  lb4BackendId,
  lb4BackendPort,
  lb4BackendProto,
  lb4Count,
  lb4RevNatAddress,
  lb4RevNatIndex,
  lb4RevNatPort,
  setLb4Key,
  setLb4RevNatKey,
} from './lbmap/layout.ts';
export {
  LB4_BACKENDS_MAP_NAME,
  LB4_REVERSE_NAT_MAP_NAME,
  LB4_SERVICES_MAP_NAME,
  type LbBackend,
  type LbFrontend,
  LbMaps,
  type LbService,
} from './lbmap/lbmap.ts';
export { LpmTrie } from './lpm_trie.ts';
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
} from './lxcmap/layout.ts';
export { type EndpointInfo, LXC_MAP_NAME, LxcMap, readEndpointInfo } from './lxcmap/lxcmap.ts';
export {
  BPF_ANY,
  BPF_EXIST,
  BPF_MAP_TYPE_ARRAY,
  BPF_MAP_TYPE_HASH,
  BPF_MAP_TYPE_LPM_TRIE,
  BPF_NOEXIST,
  type BpfMap,
  MAP_HEADER,
  type MapEntry,
  type MapSpec,
} from './map.ts';
export { type Address, Memory, NULL } from './memory.ts';
export { openMap } from './open_map.ts';
export { EventRing } from './perf_event_array.ts';
export { pin, pinned, pins, unpin } from './pins.ts';
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
export { Reader } from './readers.ts';
export { Scratch } from './scratch.ts';
