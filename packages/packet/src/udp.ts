import { be16, setBe16 } from './bytes.ts';

/** UDP header, 8 bytes; numbers are byte offsets. Source: RFC 768. */
export const UDP = { size: 8, srcPort: 0, dstPort: 2, length: 4, checksum: 6 } as const;

export const udpSrcPort = (u8: Uint8Array, at: number): number => be16(u8, at + UDP.srcPort);
export const udpDstPort = (u8: Uint8Array, at: number): number => be16(u8, at + UDP.dstPort);
/** Header and payload, in bytes. */
export const udpLength = (u8: Uint8Array, at: number): number => be16(u8, at + UDP.length);
/** 0 says that the sender computed none. */
export const udpChecksum = (u8: Uint8Array, at: number): number => be16(u8, at + UDP.checksum);

export const setUdpSrcPort = (u8: Uint8Array, at: number, port: number): void => setBe16(u8, at + UDP.srcPort, port);
export const setUdpDstPort = (u8: Uint8Array, at: number, port: number): void => setBe16(u8, at + UDP.dstPort, port);
export const setUdpChecksum = (u8: Uint8Array, at: number, sum: number): void => setBe16(u8, at + UDP.checksum, sum);
