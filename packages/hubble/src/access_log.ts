import type { Flow, FlowHttp, Resolver } from './flow.ts';
import { flowFromRecord, type L7Record } from './l7_record.ts';

/** What the proxy logs of an HTTP request, of its denial, or of the answer to it. */
export interface HttpRecord extends L7Record {
  isIngress: boolean;
  method: string;
  /** Query included. */
  path: string;
  host: string;
  protocol: string;
  /** Only in a response, as `latencyNs`. */
  status: number | undefined;
  latencyNs: bigint | undefined;
}

const NS_PER_MS = 1_000_000n;

/** The flow of a record of the HTTP proxy. Source: pkg/envoy/accesslog_server.go, pkg/hubble/parser/seven/http.go. */
export function flowFromAccessLog(record: HttpRecord, resolver: Resolver): Flow {
  const l7 = http(record);
  const trafficDirection = record.isIngress ? 'INGRESS' : 'EGRESS';
  return flowFromRecord(record, { transport: 'TCP', l7, summary: summary(l7), trafficDirection }, resolver);
}

function http(record: HttpRecord): FlowHttp {
  const { method, protocol, status = 0, latencyNs = 0n } = record;
  const url = `http://${record.host}/${record.path.replace(/^\//, '')}`;
  return record.entryType === 'Response'
    ? { type: 'RESPONSE', method, url, protocol, code: status, latencyNs }
    : { type: 'REQUEST', method, url, protocol, code: 0, latencyNs: 0n };
}

function summary({ type, method, url, protocol, code, latencyNs }: FlowHttp): string {
  const request = `${method} ${url}`;
  return type === 'REQUEST' ? `${protocol} ${request}` : `${protocol} ${code} ${latencyNs / NS_PER_MS}ms (${request})`;
}
