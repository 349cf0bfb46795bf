import { formatIp, type IpAddress } from '@ciliate/packet';
import {
  type AuthType,
  EVENT_DROP,
  EVENT_POLICY_VERDICT,
  EVENT_TRACE,
  type Flow,
  type FlowL4,
  hasPorts,
  type Resolver,
  resolveEndpoint,
} from './flow.ts';
import { type Notify, readNotify, type TraceNotify } from './notify.ts';
import { summarizePacket } from './packet_summary.ts';

const REASON_REPLY = 2;
const REASON_UNKNOWN = 5;
const REASON_SRV6_ENCAP = 6;
const REASON_SRV6_DECAP = 7;
const REASON_ENCRYPT_OVERLAY = 8;
const AUTH_TYPES: readonly AuthType[] = ['DISABLED', 'SPIRE', 'TEST_ALWAYS_FAIL'];

/**
 * The flow of an event that a datapath program wrote: a trace, a drop or a policy verdict, with the packet's first bytes.
 *
 * A packet that is not understood to the end still gives a flow: without L4, or without IP and then told by its Ethernet
 * addresses. Of SCTP the summary says that it is not supported yet.
 * @param timeNs since the Unix epoch; events carry no time
 * @throws HubbleError for other bytes and for kinds of events not supported yet
 * Source: pkg/hubble/parser/threefour/parser.go.
 */
export function parseEvent(bytes: Uint8Array, resolver: Resolver, timeNs: bigint): Flow {
  const event = readNotify(bytes);
  const { ethernet, ip, l4, text } = summarizePacket(event.packet);
  const translated = event.type === EVENT_TRACE && event.originalIp !== undefined;
  const sourceAddress = translated ? event.originalIp : ip?.sourceAddress;
  const [sourceIdentity, destinationIdentity] = identities(event);
  const source = resolveEndpoint(sourceAddress, sourceIdentity, resolver);
  const destination = resolveEndpoint(ip?.destinationAddress, destinationIdentity, resolver);
  return {
    timeNs,
    type: 'L3_L4',
    verdict: verdict(event),
    dropReason: dropReasonOf(event),
    authType: event.type === EVENT_POLICY_VERDICT ? (AUTH_TYPES[event.authType] ?? 'DISABLED') : 'DISABLED',
    ethernet,
    ip: ip && {
      version: ip.version,
      source: formatIp(sourceAddress!),
      destination: ip.destination,
      sourceXlated: sourceAddress === ip.sourceAddress ? undefined : ip.source,
    },
    l4,
    source,
    destination,
    sourceService: serviceOf(sourceAddress, port(l4, 'sourcePort'), resolver),
    destinationService: serviceOf(ip?.destinationAddress, port(l4, 'destinationPort'), resolver),
    l7: undefined,
    eventType: { type: event.type, subType: subType(event) },
    trafficDirection: trafficDirection(event, source.id),
    policyMatchType: event.type === EVENT_POLICY_VERDICT ? event.matchType : 0,
    isReply: isReply(event),
    summary: text,
  };
}

/** A policy verdict tells the remote identity alone; the local one is found by its address. */
function identities(event: Notify): [source: number, destination: number] {
  if (event.type !== EVENT_POLICY_VERDICT) return [event.sourceIdentity, event.destinationIdentity];
  return event.ingress ? [event.remoteIdentity, 0] : [0, event.remoteIdentity];
}

function verdict(event: Notify): Flow['verdict'] {
  if (event.type === EVENT_DROP) return 'DROPPED';
  if (event.type === EVENT_TRACE) return 'FORWARDED';
  if (event.verdict < 0) return 'DROPPED';
  if (event.verdict > 0) return 'REDIRECTED';
  return event.audited ? 'AUDIT' : 'FORWARDED';
}

function dropReasonOf(event: Notify): number {
  if (event.type === EVENT_DROP) return event.reason;
  return event.type === EVENT_POLICY_VERDICT && event.verdict < 0 ? -event.verdict : 0;
}

function subType(event: Notify): number {
  if (event.type === EVENT_DROP) return event.reason;
  return event.type === EVENT_TRACE ? event.observationPoint : 0;
}

function isReply(event: Notify): boolean | undefined {
  if (event.type === EVENT_DROP) return undefined;
  // A verdict that lets a packet pass is told for the first packet of a connection.
  if (event.type === EVENT_POLICY_VERDICT) return event.verdict < 0 ? undefined : false;
  switch (event.reason) {
    case REASON_UNKNOWN:
    case REASON_SRV6_ENCAP:
    case REASON_SRV6_DECAP:
    case REASON_ENCRYPT_OVERLAY:
      return undefined;
  }
  return event.reason === REASON_REPLY;
}

/** @param sourceEndpoint the id of the endpoint that has the source address, 0 if none on this node does */
function trafficDirection(event: Notify, sourceEndpoint: number): Flow['trafficDirection'] {
  if (event.type === EVENT_POLICY_VERDICT) return event.ingress ? 'INGRESS' : 'EGRESS';
  if (event.source === 0) return 'TRAFFIC_DIRECTION_UNKNOWN';
  if (event.type === EVENT_DROP) return event.source === sourceEndpoint ? 'EGRESS' : 'INGRESS';
  if (event.reason === REASON_UNKNOWN) return 'TRAFFIC_DIRECTION_UNKNOWN';
  return isEgressTrace(event, sourceEndpoint) ? 'EGRESS' : 'INGRESS';
}

/** A connection has the direction of its first packet: for replies, the other one than the packet's own. */
function isEgressTrace(event: TraceNotify, sourceEndpoint: number): boolean {
  if (event.reason === REASON_ENCRYPT_OVERLAY) return true;
  const sentFromHere = event.source === sourceEndpoint;
  return sentFromHere !== (event.reason === REASON_REPLY) || event.originalIp !== undefined;
}

const port = (l4: FlowL4 | undefined, side: 'sourcePort' | 'destinationPort'): number => (hasPorts(l4) ? l4[side] : 0);

const serviceOf = (address: IpAddress | undefined, atPort: number, resolver: Resolver) =>
  address === undefined ? undefined : resolver.serviceOf(address, atPort);
