import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import {
  type Flow,
  type FlowEndpoint,
  flowFromAccessLog,
  formatCompact,
  type HttpRecord,
  hasPorts,
  parseEvent,
} from '../src/index.ts';
import { DROP_NOTIFY, POLICY_VERDICT_NOTIFY, TRACE_NOTIFY } from '../src/notify.ts';
import { bytesOf, nameless, resolver, TIME_NS } from './support.ts';

const load = (name: string) => JSON.parse(readFileSync(new URL(`./fixtures/${name}`, import.meta.url), 'utf8'));

/** Events and requests with what Hubble's parsers and printer made of them. */
interface Recorded {
  name: string;
  compact: string;
  payload?: string;
  flow: Record<string, unknown>;
  source: object;
  destination: object;
  l7?: { type: 'REQUEST' | 'RESPONSE'; latency_ns?: string; code?: number };
}
const recorded: Recorded[] = load('flows.json');
const events = recorded.filter((r) => r.payload !== undefined);
const requests = recorded.filter((r) => r.l7 !== undefined);

test.each(events)('the line that Hubble printed: $name', ({ payload, compact }) => {
  expect(formatCompact(parseEvent(bytesOf(payload!), nameless, TIME_NS))).toBe(compact);
});

test.each(events)('the fields that Hubble filled: $name', ({ payload, flow, source, destination }) => {
  expect(hubbleFields(parseEvent(bytesOf(payload!), resolver, TIME_NS))).toEqual({ ...flow, source, destination });
});

test.each(requests)('a request as Hubble told it: $name, $l7.code', ({ compact, flow, source, destination, l7 }) => {
  const client = { ip: 0x0a000001, port: 40000 };
  const server = { ip: 0x0a000002, port: 80 };
  const record: HttpRecord = {
    timestampNs: l7!.type === 'RESPONSE' ? TIME_NS + 5_000_000n : TIME_NS,
    entryType: flow.verdict === 'DROPPED' ? 'Denied' : l7!.type === 'RESPONSE' ? 'Response' : 'Request',
    isIngress: flow.traffic_direction === 'INGRESS',
    sourceIdentity: 1001,
    destinationIdentity: 1002,
    source: client,
    destination: server,
    method: 'GET',
    path: '/api?x=1',
    host: 'server.prod',
    protocol: 'HTTP/1.1',
    status: l7!.code ?? 0,
    latencyNs: BigInt(l7!.latency_ns ?? 0),
  };
  const got = flowFromAccessLog(record, nameless);
  expect(formatCompact(got)).toBe(compact);
  expect(hubbleFields(got)).toEqual({ ...flow, source, destination });
});

/** The flow with the names and omissions of Hubble's JSON. Not in the flow yet: IP.encrypted, and others not compared. */
function hubbleFields(flow: Flow): Record<string, unknown> {
  const { ip, eventType } = flow;
  return set({
    IP: ip && { source: ip.source, destination: ip.destination, ipVersion: 'IPv4' },
    l4: l4Fields(flow),
    verdict: flow.verdict,
    drop_reason: flow.dropReason,
    is_reply: flow.isReply,
    traffic_direction: flow.trafficDirection,
    policy_match_type: flow.policyMatchType,
    event_type: set({ type: eventType.type, sub_type: eventType.subType }),
    ethernet: flow.ethernet,
    Summary: flow.summary,
    source: endpointFields(flow.source),
    destination: endpointFields(flow.destination),
  });
}

function l4Fields({ l4, type, summary }: Flow): object | undefined {
  if (l4 === undefined) return undefined;
  if (!hasPorts(l4)) return { [l4.protocol]: set({ type: l4.type, code: l4.code }) };
  const flags = summary.replace('TCP Flags: ', '').split(', ');
  const withFlags = type === 'L3_L4' && l4.protocol === 'TCP';
  const ports = { source_port: l4.sourcePort, destination_port: l4.destinationPort };
  return {
    [l4.protocol]: { ...ports, ...(withFlags && { flags: Object.fromEntries(flags.map((flag) => [flag, true])) }) },
  };
}

const endpointFields = ({ id, identity, namespace, podName }: FlowEndpoint) =>
  set({ ID: id, identity, namespace, pod_name: podName });

/** Without what is zero, as protobuf's JSON leaves it out. */
const set = (fields: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== 0 && value !== ''));

test('the layouts are those of the C structs', () => {
  const { trace_notify, drop_notify, policy_verdict_notify } = load('layouts.json');
  for (const [ours, theirs] of [
    [TRACE_NOTIFY, trace_notify],
    [DROP_NOTIFY, drop_notify],
    [POLICY_VERDICT_NOTIFY, policy_verdict_notify],
  ]) {
    const { size, ...offsets } = ours;
    expect(size).toBe(theirs.size);
    expect(theirs.fields).toMatchObject(offsets);
  }
});
