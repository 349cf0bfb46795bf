import type { AccessLog, BareAccessLog, HttpAccessLog, ProxyConnection } from './protocol.ts';

/** What each entry about a connection says of its ends. Source: cilium/accesslog.cc, initFromConnection. */
export const endsOf = ({
  ingress,
  remoteIdentity,
  localIdentity = 0,
  source,
  destination,
}: ProxyConnection): Pick<
  AccessLog,
  'isIngress' | 'sourceIdentity' | 'destinationIdentity' | 'source' | 'destination'
> => ({
  isIngress: ingress,
  sourceIdentity: ingress ? remoteIdentity : localIdentity,
  destinationIdentity: ingress ? localIdentity : remoteIdentity,
  source,
  destination,
});

/**
 * A connection was reset: an entry without any protocol's part. Cilium's network filter makes it where it has a log; the
 * agent of 1.18 gives it none on listeners for HTTP, so there the reset itself is all that a real cluster shows.
 * Source: cilium/network_filter.cc; pkg/envoy/xds_server.go, getHttpFilterChainProto.
 */
export const connectionDenied = (connection: ProxyConnection, nowNs: bigint): BareAccessLog => ({
  timestampNs: nowNs,
  entryType: 'Denied',
  ...endsOf(connection),
  rule: undefined,
});

const UNSEEN = {
  isIngress: false,
  sourceIdentity: 0,
  destinationIdentity: 0,
  source: undefined,
  destination: undefined,
  rule: undefined,
} as const;

/**
 * Envoy answered by itself what never came to the policy filter (400, 408, 431, 307). The filter is asked to log it all the
 * same, with an entry in which nothing was filled in: neither ends nor time; its answer says the status alone.
 * Source: cilium/l7policy.cc, encodeHeaders.
 */
export function unseenRequest(status: number, nowNs: bigint): [request: BareAccessLog, response: HttpAccessLog] {
  const nothing = { method: '', path: '', host: '', protocol: 'HTTP/1', latencyNs: 0n } as const;
  return [
    { ...UNSEEN, timestampNs: 0n, entryType: status === 403 ? 'Denied' : 'Request' },
    { ...UNSEEN, ...nothing, timestampNs: nowNs, entryType: 'Response', status },
  ];
}
