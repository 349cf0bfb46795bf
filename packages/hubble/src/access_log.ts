import type { Flow, FlowHttp, FlowKafka, FlowL7, Resolver } from './flow.ts';
import { flowFromRecord, type L7Record } from './l7_record.ts';

/** What the proxy logs of an HTTP request, of its denial, or of the answer to it. */
export interface HttpRecord extends L7Record {
  isIngress: boolean;
  method: string;
  /** Query included. */
  path: string;
  host: string;
  /** Absent: http. */
  scheme?: 'https';
  protocol: string;
  /** Only in a response, as `latencyNs`. */
  status: number | undefined;
  latencyNs: bigint | undefined;
}

/** What the proxy logs of a Kafka request about one topic, of its denial, or of an answer. */
export interface KafkaRecord extends L7Record {
  isIngress: boolean;
  apiKey: string;
  apiVersion: number;
  correlationId: number;
  topic: string;
}

/** What the proxy logs of a connection that it reset. */
export interface BareRecord extends L7Record {
  isIngress: boolean;
}

const NS_PER_MS = 1_000_000n;

/** The flow of a record of the proxy. Source: pkg/envoy/accesslog_server.go, pkg/hubble/parser/seven. */
export function flowFromAccessLog(record: HttpRecord | KafkaRecord | BareRecord, resolver: Resolver): Flow {
  const trafficDirection = record.isIngress ? 'INGRESS' : 'EGRESS';
  return flowFromRecord(record, { transport: 'TCP', ...l7Of(record), trafficDirection }, resolver);
}

function l7Of(record: HttpRecord | KafkaRecord | BareRecord): { l7: FlowHttp | FlowKafka | FlowL7; summary: string } {
  if ('method' in record) {
    const l7 = http(record);
    return { l7, summary: summary(l7) };
  }
  const type = record.entryType === 'Response' ? 'RESPONSE' : 'REQUEST';
  if (!('apiKey' in record)) return { l7: { type }, summary: '' };
  const { apiVersion, apiKey, correlationId, topic } = record;
  const l7 = { type, errorCode: 0, apiVersion, apiKey, correlationId, topic } as const;
  return { l7, summary: kafkaSummary(l7) };
}

function kafkaSummary({ type, apiKey, correlationId, topic, errorCode }: FlowKafka): string {
  const what = `Kafka ${type.toLowerCase()} ${apiKey} correlation id ${correlationId} topic '${topic}'`;
  return type === 'REQUEST' ? what : `${what} return code ${errorCode}`;
}

function http(record: HttpRecord): FlowHttp {
  const { method, protocol, status = 0, latencyNs = 0n } = record;
  const url =
    record.source === undefined ? '' : `${record.scheme ?? 'http'}://${record.host}/${record.path.replace(/^\//, '')}`;
  return record.entryType === 'Response'
    ? { type: 'RESPONSE', method, url, protocol, code: status, latencyNs }
    : { type: 'REQUEST', method, url, protocol, code: 0, latencyNs: 0n };
}

function summary({ type, method, url, protocol, code, latencyNs }: FlowHttp): string {
  const request = `${method} ${url}`;
  return type === 'REQUEST' ? `${protocol} ${request}` : `${protocol} ${code} ${latencyNs / NS_PER_MS}ms (${request})`;
}
