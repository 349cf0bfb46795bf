import { dropReason } from '@ciliate/bpf';
import { joinHostPort } from '@ciliate/packet';
import {
  EVENT_DROP,
  EVENT_POLICY_VERDICT,
  EVENT_TRACE,
  type Flow,
  type FlowEndpoint,
  hasPorts,
  type ServiceName,
} from './flow.ts';

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const OBSERVATION_POINTS: readonly string[] = [
  'to-endpoint',
  'to-proxy',
  'to-host',
  'to-stack',
  'to-overlay',
  'from-endpoint',
  'from-proxy',
  'from-host',
  'from-stack',
  'from-overlay',
  'from-network',
  'to-network',
  'from-crypto',
  'to-crypto',
];
const MATCH_TYPES: readonly string[] = ['none', 'L3-Only', 'L3-L4', 'L4-Only', 'all', 'L3-Proto', 'Proto-Only'];
const VERDICTS_OF_POLICY = {
  FORWARDED: 'ALLOWED',
  REDIRECTED: 'ALLOWED',
  DROPPED: 'DENIED',
  AUDIT: 'AUDITED',
} as const;
const NS_PER_MS = 1_000_000n;

/**
 * The flow as `hubble observe` prints it by default, without the newline; time is UTC:
 *
 *     May  6 07:08:09.123: default/client:40000 (ID:1001) -> prod/server:80 (ID:1002) to-endpoint FORWARDED (TCP Flags: SYN)
 *
 * The one who opened the connection stands left: `->` a packet from there, `<-` a reply, `<>` not known.
 * Source: hubble/pkg/printer/printer.go, compact output.
 */
export function formatCompact(flow: Flow): string {
  const source = `${host(flow, 'source')} ${identity(flow.source)}`;
  const destination = `${host(flow, 'destination')} ${identity(flow.destination)}`;
  const ends = flow.isReply ? `${destination} <- ${source}` : `${source} ${arrow(flow)} ${destination}`;
  const auth = flow.authType === 'DISABLED' ? '' : `; Auth: ${flow.authType}`;
  return `${time(flow.timeNs)}: ${ends} ${flowType(flow)} ${verdict(flow)} (${flow.summary}${auth})`;
}

const arrow = (flow: Flow): string => (flow.isReply === undefined ? '<>' : '->');

function time(timeNs: bigint): string {
  const date = new Date(Number(timeNs / NS_PER_MS));
  const day = `${date.getUTCDate()}`.padStart(2);
  return `${MONTHS[date.getUTCMonth()]} ${day} ${date.toISOString().slice(11, 23)}`;
}

function host(flow: Flow, side: 'source' | 'destination'): string {
  if (flow.ip === undefined) return flow.ethernet?.[side] ?? '';
  const service = side === 'source' ? flow.sourceService : flow.destinationService;
  const name = podOrService(flow[side], service) ?? flow.ip[side];
  const port = hasPorts(flow.l4) ? flow.l4[`${side}Port`] : 0;
  return port === 0 ? name : joinHostPort(name, port);
}

function podOrService({ namespace, podName }: FlowEndpoint, service: ServiceName | undefined): string | undefined {
  const name = podName !== '' ? podName : service?.name;
  return name === undefined
    ? undefined
    : [service?.namespace ?? namespace, name].filter((part) => part !== '').join('/');
}

const identity = ({ identity, identityName }: FlowEndpoint): string =>
  identityName === undefined ? `(ID:${identity})` : `(${identityName})`;

function flowType({ l7, eventType: { type, subType }, policyMatchType, trafficDirection }: Flow): string {
  if (l7 !== undefined) return l7Type(l7);
  switch (type) {
    case EVENT_TRACE:
      return OBSERVATION_POINTS[subType] ?? `${subType}`;
    case EVENT_DROP:
      return dropReason(subType);
    case EVENT_POLICY_VERDICT:
      return `policy-verdict:${MATCH_TYPES[policyMatchType] ?? 'unknown'} ${trafficDirection}`;
    default:
      return 'UNKNOWN';
  }
}

function l7Type(l7: NonNullable<Flow['l7']>): string {
  const type = l7.type.toLowerCase();
  if ('query' in l7) return `dns-${type} proxy`;
  if ('url' in l7) return `http-${type}`;
  return 'apiKey' in l7 ? `kafka-${type}` : `l7-${type}`;
}

const verdict = ({ verdict, eventType: { type } }: Flow): string =>
  type === EVENT_POLICY_VERDICT ? VERDICTS_OF_POLICY[verdict] : verdict;
