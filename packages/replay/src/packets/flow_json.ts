import { type Flow, type FlowEndpoint, hasPorts } from '@ciliate/hubble';
import { TRACE_NOTIFY } from '@ciliate/maps';

/**
 * A flow as `hubble observe -o json` prints it: fields by their names in flow.proto, zero values left out. Not filled:
 * uuid (which would be random), workloads, the place in Cilium's sources.
 */

const EVENT_DROP = 1;
const EVENT_TRACE = 4;
const POINTS = [
  ...['TO_ENDPOINT', 'TO_PROXY', 'TO_HOST', 'TO_STACK', 'TO_OVERLAY', 'FROM_ENDPOINT', 'FROM_PROXY', 'FROM_HOST'],
  ...['FROM_STACK', 'FROM_OVERLAY', 'FROM_NETWORK', 'TO_NETWORK', 'FROM_CRYPTO', 'TO_CRYPTO'],
];
const TRACE_REASONS = ['NEW', 'ESTABLISHED', 'REPLY', 'RELATED', undefined, undefined, 'SRV6_ENCAP', 'SRV6_DECAP'];
const TCP_FLAGS_TEXT = 'TCP Flags: ';

/** enum DropReason of flow.proto. */
const DROP_REASONS: Readonly<Record<number, string>> = {
  130: 'INVALID_SOURCE_MAC',
  131: 'INVALID_DESTINATION_MAC',
  132: 'INVALID_SOURCE_IP',
  133: 'POLICY_DENIED',
  134: 'INVALID_PACKET_DROPPED',
  135: 'CT_TRUNCATED_OR_INVALID_HEADER',
  136: 'CT_MISSING_TCP_ACK_FLAG',
  137: 'CT_UNKNOWN_L4_PROTOCOL',
  138: 'CT_CANNOT_CREATE_ENTRY_FROM_PACKET',
  139: 'UNSUPPORTED_L3_PROTOCOL',
  140: 'MISSED_TAIL_CALL',
  141: 'ERROR_WRITING_TO_PACKET',
  142: 'UNKNOWN_L4_PROTOCOL',
  143: 'UNKNOWN_ICMPV4_CODE',
  144: 'UNKNOWN_ICMPV4_TYPE',
  145: 'UNKNOWN_ICMPV6_CODE',
  146: 'UNKNOWN_ICMPV6_TYPE',
  147: 'ERROR_RETRIEVING_TUNNEL_KEY',
  148: 'ERROR_RETRIEVING_TUNNEL_OPTIONS',
  149: 'INVALID_GENEVE_OPTION',
  150: 'UNKNOWN_L3_TARGET_ADDRESS',
  151: 'STALE_OR_UNROUTABLE_IP',
  152: 'NO_MATCHING_LOCAL_CONTAINER_FOUND',
  153: 'ERROR_WHILE_CORRECTING_L3_CHECKSUM',
  154: 'ERROR_WHILE_CORRECTING_L4_CHECKSUM',
  155: 'CT_MAP_INSERTION_FAILED',
  156: 'INVALID_IPV6_EXTENSION_HEADER',
  157: 'IP_FRAGMENTATION_NOT_SUPPORTED',
  158: 'SERVICE_BACKEND_NOT_FOUND',
  160: 'NO_TUNNEL_OR_ENCAPSULATION_ENDPOINT',
  161: 'FAILED_TO_INSERT_INTO_PROXYMAP',
  162: 'REACHED_EDT_RATE_LIMITING_DROP_HORIZON',
  163: 'UNKNOWN_CONNECTION_TRACKING_STATE',
  164: 'LOCAL_HOST_IS_UNREACHABLE',
  165: 'NO_CONFIGURATION_AVAILABLE_TO_PERFORM_POLICY_DECISION',
  166: 'UNSUPPORTED_L2_PROTOCOL',
  167: 'NO_MAPPING_FOR_NAT_MASQUERADE',
  168: 'UNSUPPORTED_PROTOCOL_FOR_NAT_MASQUERADE',
  169: 'FIB_LOOKUP_FAILED',
  170: 'ENCAPSULATION_TRAFFIC_IS_PROHIBITED',
  171: 'INVALID_IDENTITY',
  172: 'UNKNOWN_SENDER',
  173: 'NAT_NOT_NEEDED',
  174: 'IS_A_CLUSTERIP',
  175: 'FIRST_LOGICAL_DATAGRAM_FRAGMENT_NOT_FOUND',
  176: 'FORBIDDEN_ICMPV6_MESSAGE',
  177: 'DENIED_BY_LB_SRC_RANGE_CHECK',
  178: 'SOCKET_LOOKUP_FAILED',
  179: 'SOCKET_ASSIGN_FAILED',
  180: 'PROXY_REDIRECTION_NOT_SUPPORTED_FOR_PROTOCOL',
  181: 'POLICY_DENY',
  182: 'VLAN_FILTERED',
  183: 'INVALID_VNI',
  184: 'INVALID_TC_BUFFER',
  185: 'NO_SID',
  186: 'MISSING_SRV6_STATE',
  187: 'NAT46',
  188: 'NAT64',
  189: 'AUTH_REQUIRED',
  190: 'CT_NO_MAP_FOUND',
  191: 'SNAT_NO_MAP_FOUND',
  192: 'INVALID_CLUSTER_ID',
  193: 'UNSUPPORTED_PROTOCOL_FOR_DSR_ENCAP',
  194: 'NO_EGRESS_GATEWAY',
  195: 'UNENCRYPTED_TRAFFIC',
  196: 'TTL_EXCEEDED',
  197: 'NO_NODE_ID',
  198: 'DROP_RATE_LIMITED',
  199: 'IGMP_HANDLED',
  200: 'IGMP_SUBSCRIBED',
  201: 'MULTICAST_HANDLED',
  202: 'DROP_HOST_NOT_READY',
  203: 'DROP_EP_NOT_READY',
  204: 'DROP_NO_EGRESS_IP',
  205: 'DROP_PUNT_PROXY',
};

/**
 * One line, without the newline.
 * @param event the bytes that the flow was read from
 * @param labelsOf of an identity, as `k8s:app=web`
 */
export function flowJson(flow: Flow, event: Uint8Array, node: string, labelsOf: (id: number) => string[]): string {
  const time = rfc3339(flow.timeNs);
  const { type, subType } = flow.eventType;
  const told = {
    time,
    verdict: flow.verdict,
    drop_reason: flow.dropReason || undefined,
    auth_type: flow.authType === 'DISABLED' ? undefined : flow.authType,
    ethernet: flow.ethernet,
    IP: flow.ip && {
      source: flow.ip.source,
      destination: flow.ip.destination,
      ipVersion: flow.ip.version,
      source_xlated: flow.ip.sourceXlated,
    },
    l4: layer4(flow),
    source: endpoint(flow.source, labelsOf),
    destination: endpoint(flow.destination, labelsOf),
    Type: flow.type,
    node_name: node,
    reply: flow.isReply || undefined,
    event_type: { type, sub_type: subType || undefined },
    source_service: flow.sourceService,
    destination_service: flow.destinationService,
    traffic_direction: flow.trafficDirection === 'TRAFFIC_DIRECTION_UNKNOWN' ? undefined : flow.trafficDirection,
    policy_match_type: flow.policyMatchType || undefined,
    trace_observation_point: type === EVENT_TRACE ? (POINTS[subType] ?? subType) : undefined,
    trace_reason: type === EVENT_TRACE ? TRACE_REASONS[event[TRACE_NOTIFY.reason]! & 0x7f] : undefined,
    drop_reason_desc: flow.dropReason === 0 ? undefined : (DROP_REASONS[flow.dropReason] ?? flow.dropReason),
    is_reply: flow.isReply,
    interface: type === EVENT_TRACE || type === EVENT_DROP ? ifindexOf(event, type) : undefined,
    Summary: flow.summary || undefined,
  };
  return JSON.stringify({ flow: told, node_name: node, time });
}

/** LostEvent of observer.proto, for what found no room. */
export const lostJson = (count: number, node: string): string =>
  JSON.stringify({ lost_events: { source: 'PERF_EVENT_RING_BUFFER', num_events_lost: `${count}` }, node_name: node });

function endpoint({ id, identity, namespace, podName }: FlowEndpoint, labelsOf: (id: number) => string[]): object {
  const labels = identity === 0 ? [] : labelsOf(identity);
  return {
    ID: id || undefined,
    identity: identity || undefined,
    namespace: namespace || undefined,
    labels: labels.length === 0 ? undefined : labels.sort(),
    pod_name: podName || undefined,
  };
}

function layer4({ l4, summary }: Flow): object | undefined {
  if (l4 === undefined) return undefined;
  if (!hasPorts(l4)) return { [l4.protocol]: { type: l4.type || undefined, code: l4.code || undefined } };
  const ports = { source_port: l4.sourcePort || undefined, destination_port: l4.destinationPort || undefined };
  if (l4.protocol !== 'TCP') return { [l4.protocol]: ports };
  const names = summary.slice(TCP_FLAGS_TEXT.length).split(', ');
  const flags = Object.fromEntries(names.filter((name) => name !== '').map((name) => [name, true]));
  return { TCP: { ...ports, flags } };
}

const DROP_IFINDEX = 32;

function ifindexOf(event: Uint8Array, type: number): { index: number } | undefined {
  const at = type === EVENT_TRACE ? TRACE_NOTIFY.ifindex : DROP_IFINDEX;
  const index = new DataView(event.buffer, event.byteOffset).getUint32(at, true);
  return index === 0 ? undefined : { index };
}

/** With 0, 3, 6 or 9 digits of a second, as protojson writes it. */
function rfc3339(timeNs: bigint): string {
  const date = new Date(Number(timeNs / 1_000_000n)).toISOString();
  const digits = `${timeNs % 1_000_000_000n}`.padStart(9, '0').replace(/(000){1,3}$/, '');
  return `${date.slice(0, 19)}${digits === '' ? '' : `.${digits}`}Z`;
}
