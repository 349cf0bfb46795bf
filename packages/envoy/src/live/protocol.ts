// Everything that crosses the boundary between a proxy server and its worker threads. Each message to a worker except `stop`
// has a sequence number, and gets exactly one answer with the same number.
import type { HttpConfig } from '../http_config.ts';
import type { AccessLog } from '../protocol.ts';
import type { L7Parser } from '../sessions.ts';
import type { LogMessage } from './log_batch.ts';
import type { Preamble } from './preamble.ts';

/** Where redirected connections of one kind come in. */
export interface ListenerSpec {
  /** As Cilium names it: `cilium-http-ingress` and the like. */
  readonly name: string;
  /** 0: any free one. */
  readonly port: number;
  /** http if absent. */
  readonly parser?: L7Parser;
  /** Connections come without preamble; each is taken for this one, with a number and a source of its own. */
  readonly assume?: Preamble;
}

export interface ServerWorkerInit {
  readonly seed: number;
  readonly http: HttpConfig;
  /** Are log entries wanted at all? */
  readonly logs: boolean;
}

/** `response` is a DiscoveryResponse in wire form. */
export type ServerCall =
  | { readonly type: 'discovery'; readonly response: Uint8Array }
  | { readonly type: 'listen'; readonly listener: ListenerSpec }
  | { readonly type: 'close'; readonly name: string };

export type ToServerWorker = (ServerCall & { readonly seq: number }) | { readonly type: 'stop' };

/** An entry of the access log, and the connection's number in its preamble; `request`: which of its requests, from 0. */
export interface LoggedRequest {
  readonly connection: number;
  readonly request: number;
  readonly record: AccessLog;
}

/** `request` is a DiscoveryRequest in wire form: ACK or NACK. */
export type FromServerWorker =
  | { readonly type: 'ready' }
  | { readonly type: 'discovery'; readonly seq: number; readonly request: Uint8Array }
  | { readonly type: 'listening'; readonly seq: number; readonly port: number }
  | { readonly type: 'closed'; readonly seq: number }
  | { readonly type: 'refused'; readonly seq: number; readonly message: string }
  | { readonly type: 'log'; readonly message: LogMessage };
