import { be16, setBe16 } from './bytes.ts';

/** ICMP and ICMPv6 header, 8 bytes; id and sequence are valid only in echo messages. Sources: RFC 792, RFC 4443. */
export const ICMP = { size: 8, type: 0, code: 1, checksum: 2, id: 4, sequence: 6 } as const;

// Source: the IANA ICMP type numbers, named as in linux/icmp.h.
export const ICMP_ECHOREPLY = 0;
export const ICMP_DEST_UNREACH = 3;
export const ICMP_ECHO = 8;
export const ICMP_TIME_EXCEEDED = 11;
export const ICMP_PARAMETERPROB = 12;

// Of ICMPv6, named as in linux/icmpv6.h; up to 127 they are errors. Sources: RFC 4443, RFC 4861.
export const ICMPV6_DEST_UNREACH = 1;
export const ICMPV6_PKT_TOOBIG = 2;
export const ICMPV6_TIME_EXCEED = 3;
export const ICMPV6_PARAMPROB = 4;
export const ICMPV6_ECHO_REQUEST = 128;
export const ICMPV6_ECHO_REPLY = 129;
export const NDISC_NEIGHBOUR_SOLICITATION = 135;
export const NDISC_NEIGHBOUR_ADVERTISEMENT = 136;
const ICMPV6_LAST_ERROR = 127;

/** @param isV6 is it a type of ICMPv6? */
export const isIcmpEcho = (type: number, isV6: boolean): boolean =>
  isV6 ? type === ICMPV6_ECHO_REQUEST || type === ICMPV6_ECHO_REPLY : type === ICMP_ECHO || type === ICMP_ECHOREPLY;

export const isIcmpEchoReply = (type: number, isV6: boolean): boolean =>
  type === (isV6 ? ICMPV6_ECHO_REPLY : ICMP_ECHOREPLY);

/** Does it quote the packet that it is about? */
export const isIcmpError = (type: number, isV6: boolean): boolean =>
  isV6
    ? type <= ICMPV6_LAST_ERROR
    : type === ICMP_DEST_UNREACH || type === ICMP_TIME_EXCEEDED || type === ICMP_PARAMETERPROB;

export const icmpType = (u8: Uint8Array, at: number): number => u8[at + ICMP.type]!;
export const icmpCode = (u8: Uint8Array, at: number): number => u8[at + ICMP.code]!;
export const icmpChecksum = (u8: Uint8Array, at: number): number => be16(u8, at + ICMP.checksum);
export const icmpId = (u8: Uint8Array, at: number): number => be16(u8, at + ICMP.id);
export const icmpSequence = (u8: Uint8Array, at: number): number => be16(u8, at + ICMP.sequence);

export const setIcmpChecksum = (u8: Uint8Array, at: number, sum: number): void => setBe16(u8, at + ICMP.checksum, sum);
