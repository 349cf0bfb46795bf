import { be16, be32, setBe16, setBe32 } from './bytes.ts';

/** TCP header, 20 bytes without options; numbers are byte offsets. Source: RFC 9293, section 3.1. */
export const TCP = {
  size: 20,
  srcPort: 0,
  dstPort: 2,
  seq: 4,
  ack: 8,
  dataOffset: 12, // high 4 bits: header length in 32-bit words
  flags: 13,
  window: 14,
  checksum: 16,
  urgent: 18,
} as const;

// Bits of the flags byte.
export const TCP_FIN = 0x01;
export const TCP_SYN = 0x02;
export const TCP_RST = 0x04;
export const TCP_PSH = 0x08;
export const TCP_ACK = 0x10;
export const TCP_URG = 0x20;
export const TCP_ECE = 0x40;
export const TCP_CWR = 0x80;

/** In the order in which Hubble names them. */
const FLAG_NAMES = [
  [TCP_SYN, 'SYN'],
  [TCP_ACK, 'ACK'],
  [TCP_RST, 'RST'],
  [TCP_FIN, 'FIN'],
  [TCP_PSH, 'PSH'],
  [TCP_URG, 'URG'],
  [TCP_ECE, 'ECE'],
  [TCP_CWR, 'CWR'],
] as const;
export const tcpFlagNames = (flags: number): string[] =>
  FLAG_NAMES.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name);

export const tcpSrcPort = (u8: Uint8Array, at: number): number => be16(u8, at + TCP.srcPort);
export const tcpDstPort = (u8: Uint8Array, at: number): number => be16(u8, at + TCP.dstPort);
export const tcpSeq = (u8: Uint8Array, at: number): number => be32(u8, at + TCP.seq);
/** Valid only if TCP_ACK is set. */
export const tcpAck = (u8: Uint8Array, at: number): number => be32(u8, at + TCP.ack);
/** Header with options, in bytes: 20..60 in a valid segment, as low as 0 in a broken one. */
export const tcpHeaderLength = (u8: Uint8Array, at: number): number => (u8[at + TCP.dataOffset]! & 0xf0) >>> 2;
export const tcpFlags = (u8: Uint8Array, at: number): number => u8[at + TCP.flags]!;
/** As on the wire, not scaled. */
export const tcpWindow = (u8: Uint8Array, at: number): number => be16(u8, at + TCP.window);
export const tcpChecksum = (u8: Uint8Array, at: number): number => be16(u8, at + TCP.checksum);

// Setters write the field alone; checksum.ts has what brings the checksums up to date.
export const setTcpSrcPort = (u8: Uint8Array, at: number, port: number): void => setBe16(u8, at + TCP.srcPort, port);
export const setTcpDstPort = (u8: Uint8Array, at: number, port: number): void => setBe16(u8, at + TCP.dstPort, port);
export const setTcpSeq = (u8: Uint8Array, at: number, seq: number): void => setBe32(u8, at + TCP.seq, seq);
export const setTcpAck = (u8: Uint8Array, at: number, ack: number): void => setBe32(u8, at + TCP.ack, ack);
export const setTcpChecksum = (u8: Uint8Array, at: number, sum: number): void => setBe16(u8, at + TCP.checksum, sum);
