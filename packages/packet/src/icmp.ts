import { be16, setBe16 } from './bytes.ts';

/** ICMP header, 8 bytes; id and sequence are valid only in echo messages. Source: RFC 792. */
export const ICMP = { size: 8, type: 0, code: 1, checksum: 2, id: 4, sequence: 6 } as const;

// Source: the IANA ICMP type numbers, named as in linux/icmp.h.
export const ICMP_ECHOREPLY = 0;
export const ICMP_DEST_UNREACH = 3;
export const ICMP_ECHO = 8;
export const ICMP_TIME_EXCEEDED = 11;
export const ICMP_PARAMETERPROB = 12;

export const icmpType = (u8: Uint8Array, at: number): number => u8[at + ICMP.type]!;
export const icmpCode = (u8: Uint8Array, at: number): number => u8[at + ICMP.code]!;
export const icmpChecksum = (u8: Uint8Array, at: number): number => be16(u8, at + ICMP.checksum);
export const icmpId = (u8: Uint8Array, at: number): number => be16(u8, at + ICMP.id);
export const icmpSequence = (u8: Uint8Array, at: number): number => be16(u8, at + ICMP.sequence);

export const setIcmpChecksum = (u8: Uint8Array, at: number, sum: number): void => setBe16(u8, at + ICMP.checksum, sum);
