import { bytesOfIp, ipOfBytes, isIpv6 } from '@ciliate/packet';
import type { ProxyConnection, SocketAddress } from '../protocol.ts';

/**
 * What the agent's side writes before the client's bytes: a PROXY protocol v2 header (haproxy's proxy-protocol.txt, 2.2) with
 * the connection's original addresses, and TLVs of the range for applications (2.2.7) for what has no place there.
 *
 * | TLV  | value                                                              |
 * | ---- | ------------------------------------------------------------------ |
 * | 0xE0 | u32 identity of the other side; required                           |
 * | 0xE1 | u32 endpoint whose policy counts; required                         |
 * | 0xE2 | u8 flags: 1 ingress, 2 the server sees the client's address        |
 * | 0xE3 | u32 identity of the endpoint itself                                |
 * | 0xE4 | address of 4 or 16 bytes, u16 port: where the proxy connects       |
 * | 0xE5 | u32 number of the connection; required                             |
 *
 * All numbers are big-endian. Without 0xE4 the proxy connects to the original destination, and a server gets no preamble;
 * with it, it does: the same one, so that who listens there knows which connection goes on.
 */
export interface Preamble {
  readonly connection: ProxyConnection;
  /** Where to connect for the destination; undefined: to the destination itself, and without a preamble. */
  readonly via: SocketAddress | undefined;
}

export type PreambleRead =
  | { readonly kind: 'preamble'; readonly preamble: Preamble; readonly length: number }
  /** More bytes are needed. */
  | { readonly kind: 'more' }
  | { readonly kind: 'malformed'; readonly reason: string };

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const HEADER_BYTES = 16;
const VERSION_2_PROXY = 0x21;
/** By the byte for it: bytes of one address. */
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;
const FAMILIES: Readonly<Record<number, number>> = { [TCP_OVER_IPV4]: 4, [TCP_OVER_IPV6]: 16 };
/** A longer one is not ours. */
const MAX_BYTES = 512;
const TLV = { remoteIdentity: 0xe0, endpointId: 0xe1, flags: 0xe2, localIdentity: 0xe3, via: 0xe4, id: 0xe5 } as const;
const FLAG_INGRESS = 1;
const FLAG_ORIGINAL_SOURCE = 2;

export function encodePreamble({ connection, via }: Preamble): Uint8Array {
  const { id, endpointId, ingress, remoteIdentity, localIdentity, originalSource, source, destination } = connection;
  const out = Buffer.alloc(MAX_BYTES);
  SIGNATURE.copy(out);
  out[12] = VERSION_2_PROXY;
  out[13] = isIpv6(source.ip) ? TCP_OVER_IPV6 : TCP_OVER_IPV4;
  let at = HEADER_BYTES;
  const address = ({ ip }: SocketAddress): void => {
    const bytes = bytesOfIp(ip);
    out.set(bytes, at);
    at += bytes.length;
  };
  address(source);
  address(destination);
  at = out.writeUInt16BE(source.port, at);
  at = out.writeUInt16BE(destination.port, at);
  const start = (type: number, length: number): void => {
    at = out.writeUInt8(type, at);
    at = out.writeUInt16BE(length, at);
  };
  const u32 = (type: number, value: number): void => {
    start(type, 4);
    at = out.writeUInt32BE(value, at);
  };
  u32(TLV.remoteIdentity, remoteIdentity);
  u32(TLV.endpointId, endpointId);
  start(TLV.flags, 1);
  at = out.writeUInt8((ingress ? FLAG_INGRESS : 0) | (originalSource ? FLAG_ORIGINAL_SOURCE : 0), at);
  if (localIdentity !== undefined) u32(TLV.localIdentity, localIdentity);
  if (via !== undefined) {
    start(TLV.via, isIpv6(via.ip) ? 18 : 6);
    address(via);
    at = out.writeUInt16BE(via.port, at);
  }
  u32(TLV.id, id);
  out.writeUInt16BE(at - HEADER_BYTES, 14);
  return out.subarray(0, at);
}

/** @param bytes the first that came on the connection; those after the preamble are the client's */
export function readPreamble(bytes: Uint8Array): PreambleRead {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const known = Math.min(buffer.length, SIGNATURE.length);
  if (buffer.compare(SIGNATURE, 0, known, 0, known) !== 0) return malformed('no PROXY protocol v2 signature');
  if (buffer.length < HEADER_BYTES) return { kind: 'more' };
  const size = FAMILIES[buffer[13]!];
  if (buffer[12] !== VERSION_2_PROXY || size === undefined) return malformed('not about TCP over IP');
  const addressBytes = 2 * size + 4;
  const length = HEADER_BYTES + buffer.readUInt16BE(14);
  if (length > MAX_BYTES) return malformed('too long');
  if (length < HEADER_BYTES + addressBytes) return malformed('too short for its addresses');
  if (buffer.length < length) return { kind: 'more' };
  const values = readTlvs(buffer.subarray(HEADER_BYTES + addressBytes, length));
  if (values === undefined) return malformed('a TLV goes beyond its end');
  const u32 = (type: number): number | undefined =>
    values.get(type)?.length === 4 ? values.get(type)!.readUInt32BE() : undefined;
  const [remoteIdentity, endpointId, id] = [u32(TLV.remoteIdentity), u32(TLV.endpointId), u32(TLV.id)];
  if (remoteIdentity === undefined || endpointId === undefined || id === undefined)
    return malformed('the identity, the endpoint or the number is missing');
  const flags = values.get(TLV.flags)?.[0] ?? 0;
  const localIdentity = u32(TLV.localIdentity);
  const ports = HEADER_BYTES + 2 * size;
  const destination = addressAt(buffer, HEADER_BYTES + size, size, ports + 2);
  const via = values.get(TLV.via);
  if (via !== undefined && via.length !== 6 && via.length !== 18)
    return malformed('the address to connect to has neither 6 nor 18 bytes');
  const connection: ProxyConnection = {
    id,
    endpointId,
    ingress: (flags & FLAG_INGRESS) !== 0,
    remoteIdentity,
    ...(localIdentity !== undefined && { localIdentity }),
    originalSource: (flags & FLAG_ORIGINAL_SOURCE) !== 0,
    localPort: destination.port,
    source: addressAt(buffer, HEADER_BYTES, size, ports),
    destination,
  };
  return {
    kind: 'preamble',
    preamble: { connection, via: via && addressAt(via, 0, via.length - 2, via.length - 2) },
    length,
  };
}

const malformed = (reason: string): PreambleRead => ({ kind: 'malformed', reason });

/** @param size of the address, bytes */
const addressAt = (buffer: Buffer, ip: number, size: number, port: number): SocketAddress => ({
  ip: ipOfBytes(buffer.subarray(ip, ip + size)),
  port: buffer.readUInt16BE(port),
});

/** @returns undefined if they do not end where the preamble does */
function readTlvs(bytes: Buffer): Map<number, Buffer> | undefined {
  const values = new Map<number, Buffer>();
  let at = 0;
  while (at + 3 <= bytes.length) {
    const end = at + 3 + bytes.readUInt16BE(at + 1);
    if (end > bytes.length) return undefined;
    values.set(bytes[at]!, bytes.subarray(at + 3, end));
    at = end;
  }
  return at === bytes.length ? values : undefined;
}
