// Everything that crosses the thread boundary, in one file. Each message to the worker except `stop` has a sequence
// number, and gets exactly one answer with the same number.
import type { IpAddress } from '@ciliate/packet';
import type { ProxyErrorCode } from './errors.ts';
import type { LoggedHeader } from './header_match.ts';
import type { UpstreamFailure } from './responses.ts';
import type { L7Parser } from './sessions.ts';

export type Side = 'downstream' | 'upstream';

export interface SocketAddress {
  readonly ip: IpAddress;
  readonly port: number;
}

/** A connection that the datapath redirected to the proxy. */
export interface ProxyConnection {
  /** Chosen by the caller; no two open connections share one. */
  readonly id: number;
  /** The endpoint whose policy counts. */
  readonly endpointId: number;
  /** Is it a connection to the endpoint, or one of its own? */
  readonly ingress: boolean;
  /** Identity of the other side: on ingress the client's, on egress the server's. */
  readonly remoteIdentity: number;
  /**
   * Identity of the endpoint itself, for the log alone. Without it the log says 0, as Cilium's filter does on ingress:
   * there the agent fills it in from the address.
   */
  readonly localIdentity?: number;
  /**
   * Does the proxy speak to the server from the client's own address and port? In Cilium it does for clients on other
   * nodes; absent: it does not. Source: cilium/bpf_metadata.cc.
   */
  readonly originalSource?: boolean;
  /** Did the client speak TLS to the proxy, of which only the inside is seen? Absent: it did not. */
  readonly secured?: boolean;
  /** The port that policy is asked about: the one the client meant, not the proxy's. */
  readonly localPort: number;
  readonly source: SocketAddress;
  readonly destination: SocketAddress;
}

/** What every entry of the access log says. Source: accesslog.proto, reduced to what is shown. */
interface AccessLogEntry {
  /** Of a request: when its first byte was read. Of a response: when its head passed. */
  readonly timestampNs: bigint;
  /** A denied request is logged as `Denied`, and its 403 as `Response`. */
  readonly entryType: 'Request' | 'Response' | 'Denied';
  readonly isIngress: boolean;
  readonly sourceIdentity: number;
  readonly destinationIdentity: number;
  /** The request's direction, also in the entry of its response. */
  readonly source: SocketAddress | undefined;
  readonly destination: SocketAddress | undefined;
  /** Name of the policy rule that let the request pass; undefined if none did. */
  readonly rule: string | undefined;
}

/**
 * A connection that was reset (`Denied`), or a request that was answered before policy was asked: then nothing is known of
 * it, as in Cilium, whose filter has not seen it: no addresses, no identities, no time.
 */
export type BareAccessLog = AccessLogEntry;

export interface HttpAccessLog extends AccessLogEntry {
  readonly method: string;
  /** Normalised, with query. */
  readonly path: string;
  readonly host: string;
  readonly protocol: 'HTTP/1' | 'HTTP/1.1' | 'HTTP/2';
  /** Only in responses. */
  readonly status: number | undefined;
  /** Only in responses: since the request's timestamp. */
  readonly latencyNs: bigint | undefined;
  /** What header rules expected and did not find, and what they did not want; only if there is any. */
  readonly missingHeaders?: readonly LoggedHeader[];
  /** Of the URL; absent: http. */
  readonly scheme?: 'https';
  readonly rejectedHeaders?: readonly LoggedHeader[];
}

/** One topic of a Kafka request, or '' if it names none. Of the server's answers only `correlationId` is read. */
export interface KafkaAccessLog extends AccessLogEntry {
  /** By name, as `produce`; what has none by its number. */
  readonly apiKey: string;
  readonly apiVersion: number;
  readonly correlationId: number;
  readonly topic: string;
}

export type AccessLog = HttpAccessLog | KafkaAccessLog | BareAccessLog;

export const isHttpLog = (record: AccessLog): record is HttpAccessLog => 'method' in record;

/**
 * What the caller must do, in this order. The first `upstream` of a connection, or the first after its upstream ended,
 * means: connect to the destination first. After `closeUpstream` the proxy wants to hear no more of that connection to the
 * server: what it is told of the upstream is about the next one. After `closeDownstream` or `resetDownstream` the connection is forgotten.
 */
export type ProxyAction =
  | { readonly type: 'upstream'; readonly bytes: Uint8Array }
  | { readonly type: 'downstream'; readonly bytes: Uint8Array }
  | { readonly type: 'closeUpstream' }
  | { readonly type: 'closeDownstream' }
  | { readonly type: 'resetDownstream' }
  /** Nothing more goes to the server, or to the client; it may still send. */
  | { readonly type: 'endUpstream' }
  | { readonly type: 'endDownstream' }
  /** `request`: which of the connection's requests, from 0; those answered before policy was asked count, too. */
  | { readonly type: 'log'; readonly request: number; readonly record: AccessLog };

export type PolicyAnswer = { readonly ack: true } | { readonly ack: false; readonly reason: string };

export interface WorkerInit {
  readonly seed: number;
}

/** `response` is a DiscoveryResponse in wire form. */
export type ProxyCall =
  | { readonly type: 'discovery'; readonly response: Uint8Array }
  | {
      readonly type: 'open';
      readonly connection: ProxyConnection;
      readonly nowNs: bigint;
      readonly parser: L7Parser;
    }
  | {
      readonly type: 'data';
      readonly id: number;
      readonly from: Side;
      readonly bytes: Uint8Array;
      readonly nowNs: bigint;
    }
  | { readonly type: 'end'; readonly id: number; readonly from: Side; readonly nowNs: bigint }
  | {
      readonly type: 'abort';
      readonly id: number;
      readonly from: Side;
      readonly nowNs: bigint;
      readonly reason?: UpstreamFailure;
    };

export type ToWorker = (ProxyCall & { readonly seq: number }) | { readonly type: 'stop' };

/** `request` is a DiscoveryRequest in wire form: ACK or NACK. */
export type FromWorker =
  | { readonly type: 'ready' }
  | { readonly type: 'discovery'; readonly seq: number; readonly request: Uint8Array }
  | { readonly type: 'actions'; readonly seq: number; readonly actions: ProxyAction[] }
  | {
      readonly type: 'refused';
      readonly seq: number;
      readonly code: ProxyErrorCode;
      readonly message: string;
      readonly context: Readonly<Record<string, string | number>>;
    };
