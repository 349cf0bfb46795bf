import { STATUS_CODES } from 'node:http';
import { encodeResponseHead } from './http1/encode.ts';
import { firstValue, type HeaderLine, type Headers, type ResponseStart } from './http1/message.ts';
import { setHeader } from './request_headers.ts';

/** The body of the 403; the agent could set another (`--http-403-msg`). */
export const ACCESS_DENIED = 'Access denied\r\n';

/** An answer by the proxy itself. */
export interface LocalReply {
  readonly status: number;
  readonly body: string;
  /** Only of a redirect. */
  readonly location?: string;
}

/** A 400, 426, 431 or 501 from the codec has its own reason phrase as body. */
export const codecError = (status: number): LocalReply => ({ status, body: STATUS_CODES[status]! });

/** Why there is no response of the server, in Envoy's words. */
export type UpstreamFailure =
  | 'connection termination'
  | 'remote connection failure'
  | `remote connection failure, transport failure reason: ${string}`
  | 'connection timeout'
  | 'protocol error'
  | 'remote reset'
  | 'remote refused stream reset';

/** @param retried not the first attempt */
export const upstreamFailed = (reason: UpstreamFailure, retried: boolean): LocalReply => ({
  status: reason === 'protocol error' ? 502 : 503,
  body: `upstream connect error or disconnect/reset before headers. ${retried ? 'retried and the latest ' : ''}reset reason: ${reason}`,
});

export const timedOut = (status: 408 | 504, body: string): LocalReply => ({ status, body });

/** Rules have removed what no request can be without. Source: Envoy's filter_manager. */
export const incomplete = (header: string): LocalReply => ({ status: 503, body: `missing required header: ${header}` });

/** A local reply as it is sent. */
export interface LocalAnswer {
  readonly status: number;
  /** Without those that say how its body ends where the protocol does not. */
  readonly headers: Headers;
  readonly body: string;
}

/** As https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md has it; else UNKNOWN. */
const GRPC_STATUS: Readonly<Record<number, number>> = {
  ...{ 400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14 },
};
const GRPC_UNKNOWN = 2;

/**
 * A gRPC client gets 200 and no body: what happened is in `grpc-status`, and the text in `grpc-message`, percent-encoded.
 * Source: Envoy's Http::Utility::prepareLocalReply, Grpc::Utility::httpToGrpcStatus.
 */
export function localReply(
  { status, body, location }: LocalReply,
  { nowNs, grpc }: { nowNs: bigint; grpc: boolean },
): LocalAnswer {
  const headers: [string, string][] = [];
  if (location !== undefined) headers.push(['location', location]);
  if (grpc) {
    headers.push(['content-type', 'application/grpc'], ['grpc-status', `${GRPC_STATUS[status] ?? GRPC_UNKNOWN}`]);
    if (body !== '') headers.push(['grpc-message', percentEncoded(body)]);
  } else if (body !== '') headers.push(['content-length', `${body.length}`], ['content-type', 'text/plain']);
  headers.push(['date', httpDate(nowNs)], ['server', 'envoy']);
  return grpc ? { status: 200, headers, body: '' } : { status, headers, body };
}

/** Source: Envoy's Http::Utility::PercentEncoding. */
const percentEncoded = (text: string): string =>
  text.replace(/[^ -$&-}]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);

/** One char a byte. @param bodiless answers HEAD @param close the connection ends with it */
export function encodeLocalReply(
  { status, headers, body }: LocalAnswer,
  { bodiless, close }: { bodiless: boolean; close: boolean },
): string {
  const lines = [...headers];
  if (close) lines.push(['connection', 'close']);
  if (body === '' && !bodiless) lines.push(['content-length', '0']);
  const head = encodeResponseHead(status, lines);
  return bodiless ? head : head + body;
}

const HOP_BY_HOP: ReadonlySet<string> = new Set([
  ...['connection', 'transfer-encoding', 'keep-alive', 'proxy-connection', 'upgrade'],
]);

export interface ResponseTimes {
  /** Of the head. */
  readonly nowNs: bigint;
  /** From the end of the request to the head; undefined if the request had not ended. */
  readonly serviceTimeMs: number | undefined;
}

/** The headers of a server's response as the client gets it. */
export function downstreamHeaders(headers: Headers, { nowNs, serviceTimeMs }: ResponseTimes): HeaderLine[] {
  const out: HeaderLine[] = [];
  for (let at = 0; at < headers.length; at++) if (!HOP_BY_HOP.has(headers[at]![0])) out.push(headers[at]!);
  if (serviceTimeMs !== undefined) setHeader(out, 'x-envoy-upstream-service-time', `${serviceTimeMs}`);
  if (firstValue(out, 'date') === undefined) out.push(['date', httpDate(nowNs)]);
  setHeader(out, 'server', 'envoy');
  return out;
}

/** @param close the connection ends with this response */
export function encodeForwardedHead(
  { status, headers, framing }: ResponseStart,
  times: ResponseTimes,
  close: boolean,
): string {
  const out = downstreamHeaders(headers, times);
  if (close) out.push(['connection', 'close']);
  if (framing.kind === 'chunked' || framing.kind === 'untilClose') out.push(['transfer-encoding', 'chunked']);
  return encodeResponseHead(status, out);
}

let dateSecond = -1;
let dateText = '';
/** IMF-fixdate (RFC 9110, 5.6.7); the last one is kept, as it holds for a second. @param nowNs since 1970 */
function httpDate(nowNs: bigint): string {
  const second = Math.floor(Number(nowNs) / 1e9);
  if (second !== dateSecond) {
    dateText = new Date(second * 1000).toUTCString();
    dateSecond = second;
  }
  return dateText;
}
