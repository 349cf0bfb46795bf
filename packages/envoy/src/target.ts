import { firstValue, type Headers, type RequestStart, valuesOf } from './http1/message.ts';
import { normalizePath } from './path.ts';
import { connectionHeaderIsValid, isUpgrade, isWebSocketUpgrade } from './request_headers.ts';
import { codecError, type LocalReply } from './responses.ts';

export interface RoutedRequest {
  readonly kind: 'request';
  readonly authority: string;
  /** Normalised, with query. */
  readonly path: string;
  /** It asks for a WebSocket, and may. */
  readonly upgrade: boolean;
}

/** What a request asks for, or the answer that it gets before policy is asked. */
export type Routed =
  | RoutedRequest
  | {
      readonly kind: 'reply';
      readonly reply: LocalReply;
      /** Nothing after it on this connection is trusted. */
      readonly close: boolean;
    };

const ABSOLUTE = /^https?:\/\/([^/?#]+)(.*)$/i;
const NONE: readonly string[] = [];
/** Characters of an authority: unreserved, sub-delims, and those of ports, addresses, user info and escapes. */
const AUTHORITY = /^[0-9A-Za-z\-._~!$&'()*+,;=:@[\]%]*$/;

const VISIBLE = /^[\x21-\x7e]+$/;

const refuse = (status: number): Routed => ({ kind: 'reply', reply: { status, body: '' }, close: true });

/**
 * Finds host and path of a request, as Envoy's HTTP/1 codec and connection manager do, in their order:
 * 1. HTTP/1.0: 426. 2. A `connection` header that asks too much: 400. 3. CONNECT: 403, as no upgrade is configured.
 * 4. A malformed target: 400. 5. No host, two, or a malformed one: 400. 6. A target that is not a path: 404.
 * 7. A path that cannot be normalised: 400; with escaped slashes: 307. 8. An upgrade: 403, with an empty body, unless it is
 *    to a WebSocket, and that is configured; with a body it is 400, as two readers might find different ends of it.
 * Source: Envoy's conn_manager_impl; RFC 9112, 3.2. Envoy would join two hosts with a comma.
 */
export function route(request: RequestStart, websocket: boolean): Routed {
  const { method, target, headers } = request;
  if (request.version === '1.0') return { kind: 'reply', reply: codecError(426), close: true };
  if (!connectionHeaderIsValid(headers)) return { kind: 'reply', reply: codecError(400), close: true };
  if (method === 'CONNECT') return refuse(403);
  const asterisk = target === '*' && method === 'OPTIONS';
  const [, named, rest] = (target.startsWith('/') ? undefined : ABSOLUTE.exec(target)) ?? NONE;
  if (named === undefined && !target.startsWith('/') && !asterisk)
    return { kind: 'reply', reply: codecError(400), close: true };
  const hosts = valuesOf(headers, 'host');
  const authority = named ?? hosts[0];
  if (hosts.length > 1 || authority === undefined || !AUTHORITY.test(authority)) return refuse(400);
  if (asterisk) return { kind: 'reply', reply: { status: 404, body: '' }, close: false };
  const routed = routePath(authority, rest === undefined ? target : rest.startsWith('/') ? rest : `/${rest}`);
  if (routed.kind === 'reply' || !isUpgrade(headers)) return routed;
  if (!websocket || !isWebSocketUpgrade(headers)) return refuse(403);
  return request.framing.kind === 'none'
    ? { ...routed, upgrade: true }
    : { kind: 'reply', reply: codecError(400), close: true };
}

/**
 * The same for a stream of HTTP/2; its codec has reset those without a host or a path. CONNECT: 403; a malformed host, or
 * characters that no request line can hold: 400; what is not a path: 404; then as above. The connection goes on, whatever the answer.
 * @param headers a host among them counts only without `:authority` (RFC 9113, 8.3.1)
 */
export function routeStream(pseudo: Readonly<Record<string, string | undefined>>, headers: Headers): Routed {
  const { ':method': method, ':path': path = '', ':authority': authority = firstValue(headers, 'host') ?? '' } = pseudo;
  if (method === 'CONNECT') return refuse(403);
  if (!AUTHORITY.test(authority) || !VISIBLE.test(path)) return refuse(400);
  if (!path.startsWith('/')) return { kind: 'reply', reply: { status: 404, body: '' }, close: false };
  return routePath(authority, path);
}

function routePath(authority: string, path: string): Routed {
  const normalized = normalizePath(path);
  if (normalized.kind === 'reject') return refuse(400);
  if (normalized.kind === 'redirect')
    return { kind: 'reply', reply: { status: 307, body: '', location: normalized.path }, close: false };
  return { kind: 'request', authority, path: normalized.path, upgrade: false };
}
