import { formatIp, type IpAddress, isIpv6 } from '@ciliate/packet';
import {
  firstValue,
  type HeaderLine,
  type Headers,
  hasToken,
  type RequestStart,
  tokensOf,
  valuesOf,
} from './http1/message.ts';

/** Cilium's HTTP request time-out, in ms, which Envoy tells the server; the route of gRPC has none. */
const REQUEST_TIMEOUT_MS = 3_600_000;
const MAX_NOMINATED = 10;

const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'upgrade',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'te',
  'host',
]);
/** Of the proxy's own headers a client may send none, whoever it is. */
const NEVER_FROM_CLIENT: ReadonlySet<string> = new Set(['x-envoy-internal', 'x-forwarded-client-cert']);
/** A client outside the cluster does not get to steer the proxy either. */
const NEVER_FROM_OUTSIDE: ReadonlySet<string> = new Set([
  ...['x-envoy-decorator-operation', 'x-envoy-downstream-service-cluster', 'x-envoy-downstream-service-node'],
  ...['x-envoy-retry-on', 'x-envoy-retry-grpc-on', 'x-envoy-max-retries', 'x-envoy-upstream-alt-stat-name'],
  ...['x-envoy-upstream-rq-timeout-ms', 'x-envoy-upstream-rq-per-try-timeout-ms', 'x-envoy-force-trace'],
  ...['x-envoy-upstream-rq-timeout-alt-response', 'x-envoy-expected-rq-timeout-ms', 'x-envoy-ip-tags'],
  ...['x-envoy-original-url', 'x-envoy-hedge-on-per-try-timeout', 'x-envoy-retriable-status-codes'],
  'x-envoy-retriable-header-names',
]);
const DROPPED_INSIDE: ReadonlySet<string> = new Set([...HOP_BY_HOP, ...NEVER_FROM_CLIENT]);
const DROPPED_OUTSIDE: ReadonlySet<string> = new Set([...DROPPED_INSIDE, ...NEVER_FROM_OUTSIDE]);
/** Naming one of these in `connection` would make the proxy drop what routing or framing rests on. */
const NOT_NOMINATED: ReadonlySet<string> = new Set([
  ...['host', 'content-length', 'transfer-encoding'],
  ...['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto'],
]);
const BODY_NOT_EXPECTED: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'TRACE']);

/** Does the `connection` header ask only for what a proxy may grant? Source: Envoy, sanitizeConnectionHeader. */
export function connectionHeaderIsValid(headers: Headers): boolean {
  const tokens = tokensOf(headers, 'connection');
  return tokens.length <= MAX_NOMINATED && !tokens.some((token) => NOT_NOMINATED.has(token));
}

/** An upgrade to HTTP/2 in the clear does not count: servers are free to ignore it, and Envoy strips it. */
export function isUpgrade(headers: Headers): boolean {
  const protocol = firstValue(headers, 'upgrade');
  return protocol !== undefined && protocol.toLowerCase() !== 'h2c' && hasToken(headers, 'connection', 'upgrade');
}

/** To a WebSocket, and to nothing else (RFC 6455, 4.1). */
export const isWebSocketUpgrade = (headers: Headers): boolean =>
  isUpgrade(headers) && valuesOf(headers, 'upgrade').join().toLowerCase() === 'websocket';

/** What an upgrade says of itself, to the server and in its answer. */
export const upgradeHeaders = (): HeaderLine[] => [
  ['connection', 'upgrade'],
  ['upgrade', 'websocket'],
];

/** `application/grpc`, alone or with a `+suffix`. */
export const isGrpc = (headers: Headers): boolean => {
  const type = firstValue(headers, 'content-type');
  return type !== undefined && /^application\/grpc(?:\+|$)/.test(type);
};

export const expectsContinue = (headers: Headers): boolean =>
  firstValue(headers, 'expect')?.toLowerCase() === '100-continue';

export interface ForwardedRequest {
  /** IPv4 of the client, host order. */
  readonly sourceIp: IpAddress;
  /** Taken if the client sent no x-request-id, or is outside the cluster. */
  readonly requestId: string;
  /** It asks for a WebSocket, and may. */
  readonly upgrade: boolean;
  /** Did it come inside TLS? */
  readonly secured: boolean;
}

/**
 * The headers that policy sees: without what concerns only the client's connection, with what Envoy adds before any filter.
 * Source: pkg/envoy/xds_server.go (use remote address, no x-forwarded-for appended, internal ranges); Envoy's
 * conn_manager_utility.
 */
export function filterHeaders(headers: Headers, { sourceIp, requestId, upgrade, secured }: ForwardedRequest): Headers {
  const internal = isInternalAddress(sourceIp) && firstValue(headers, 'x-forwarded-for') === undefined;
  const nominated = tokensOf(headers, 'connection');
  const dropped = internal ? DROPPED_INSIDE : DROPPED_OUTSIDE;
  const continues = expectsContinue(headers);
  const out: HeaderLine[] = [];
  for (let at = 0; at < headers.length; at++) {
    const line = headers[at]!;
    const name = line[0];
    if (dropped.has(name) || (nominated.length > 0 && nominated.includes(name))) continue;
    if (continues && name === 'expect') continue;
    out.push(line);
  }
  const ownId = firstValue(out, 'x-request-id');
  if (hasToken(headers, 'te', 'trailers')) out.push(['te', 'trailers']);
  if (upgrade) out.push(...upgradeHeaders());
  setHeader(out, 'x-forwarded-proto', secured ? 'https' : 'http');
  if (internal) out.push(['x-envoy-internal', 'true']);
  else setHeader(out, 'x-envoy-external-address', formatIp(sourceIp));
  if (!internal || ownId === undefined) setHeader(out, 'x-request-id', requestId);
  return out;
}

/**
 * The headers that the server gets, after rules may have changed them. How the body ends is never theirs to say: it is
 * written as the client's request had it. Source: Envoy's router and HTTP/1 encoder.
 */
export function upstreamHeaders(
  authority: string,
  filtered: Headers,
  { method, framing }: Pick<RequestStart, 'method' | 'framing'>,
): HeaderLine[] {
  const length = framing.kind === 'length' ? `${framing.length}` : undefined;
  const out: HeaderLine[] = [['host', authority]];
  addForwarded(out, filtered, length);
  if (framing.kind === 'chunked') out.push(['transfer-encoding', 'chunked']);
  if (framing.kind === 'none' && !BODY_NOT_EXPECTED.has(method)) out.push(['content-length', '0']);
  return out;
}

/**
 * Those among them that every version of HTTP has; neither host nor authority.
 * @param length of the body as the client had it; undefined: it did not say
 */
export function addForwarded(out: HeaderLine[], filtered: Headers, length: string | undefined): void {
  for (let at = 0; at < filtered.length; at++) {
    const line = filtered[at]!;
    const name = line[0];
    const isFraming = name === 'content-length' && length === undefined;
    if (!isFraming && (name === 'te' || !HOP_BY_HOP.has(name))) out.push(line);
  }
  if (!isGrpc(filtered)) setHeader(out, 'x-envoy-expected-rq-timeout-ms', `${REQUEST_TIMEOUT_MS}`);
  if (length !== undefined) setHeader(out, 'content-length', length);
}

/** Replaces the first header of this name and removes others, or adds it at the end. */
export function setHeader(headers: HeaderLine[], name: string, value: string): void {
  let at = 0;
  while (at < headers.length && headers[at]![0] !== name) at++;
  if (at === headers.length) {
    headers.push([name, value]);
    return;
  }
  headers[at] = [name, value];
  for (let other = headers.length - 1; other > at; other--) if (headers[other]![0] === name) headers.splice(other, 1);
}

/** The ranges of Cilium's InternalAddressConfig. */
const isInternalAddress = (ip: IpAddress): boolean =>
  isIpv6(ip) ? ip === 1n : ip >>> 24 === 10 || ip >>> 20 === 0xac1 || ip >>> 16 === 0xc0a8 || ip === 0x7f000001;
