import { formatIp, ipOfBytes } from '@ciliate/packet';

/** What a SOCKS5 client said so far. RFC 1928, without authentication. */
export type SocksRead<T> =
  | { readonly kind: 'more' }
  | { readonly kind: 'malformed' }
  | ({ readonly kind: 'read'; readonly length: number } & T);

export const SOCKS_REPLY = {
  succeeded: 0,
  failure: 1,
  networkUnreachable: 3,
  hostUnreachable: 4,
  refused: 5,
  ttlExpired: 6,
  commandNotSupported: 7,
} as const;

const VERSION = 5;
const NO_AUTHENTICATION = 0;
const CONNECT = 1;
const IPV4 = 1;
const NAME = 3;
const IPV6 = 4;

/** The methods that a client offers. @returns `ok`: one of them is none */
export function readGreeting(bytes: Uint8Array): SocksRead<{ readonly ok: boolean }> {
  if (bytes.length > 0 && bytes[0] !== VERSION) return { kind: 'malformed' };
  if (bytes.length < 2 || bytes.length < 2 + bytes[1]!) return { kind: 'more' };
  const length = 2 + bytes[1]!;
  return { kind: 'read', length, ok: bytes.subarray(2, length).includes(NO_AUTHENTICATION) };
}

/** What a client wants to connect to. @returns `reply`: what is said to one that cannot be served, else 0 */
export function readRequest(
  bytes: Uint8Array,
): SocksRead<{ readonly host: string; readonly port: number; readonly reply: number }> {
  if (bytes.length > 0 && bytes[0] !== VERSION) return { kind: 'malformed' };
  if (bytes.length < 5) return { kind: 'more' };
  const type = bytes[3]!;
  const size = type === IPV4 ? 4 : type === IPV6 ? 16 : type === NAME ? 1 + bytes[4]! : undefined;
  if (size === undefined) return { kind: 'malformed' };
  const length = 4 + size + 2;
  if (bytes.length < length) return { kind: 'more' };
  const port = (bytes[length - 2]! << 8) | bytes[length - 1]!;
  const said = bytes.subarray(4, 4 + size);
  const host = type === NAME ? new TextDecoder().decode(said.subarray(1)) : formatIp(ipOfBytes(said));
  const reply = bytes[1] !== CONNECT ? SOCKS_REPLY.commandNotSupported : 0;
  return { kind: 'read', length, host, port, reply };
}

export const methodReply = (ok: boolean): Uint8Array => Uint8Array.of(VERSION, ok ? NO_AUTHENTICATION : 0xff);

/** Without the address that was bound: nobody needs it. */
export const socksReply = (code: number): Uint8Array => Uint8Array.of(VERSION, code, 0, IPV4, 0, 0, 0, 0, 0, 0);
