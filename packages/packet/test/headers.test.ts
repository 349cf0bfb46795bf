import { expect, test } from 'vitest';
import {
  ETH_P_IP,
  ethDst,
  ethSrc,
  ethType,
  formatIpv4,
  icmpChecksum,
  icmpCode,
  icmpId,
  icmpSequence,
  icmpType,
  ipv4Checksum,
  ipv4Dst,
  ipv4FragmentOffset,
  ipv4HeaderLength,
  ipv4Id,
  ipv4IsFragment,
  ipv4IsLaterFragment,
  ipv4Protocol,
  ipv4Src,
  ipv4Tos,
  ipv4TotalLength,
  ipv4Ttl,
  ipv4Version,
  setEthDst,
  setEthSrc,
  setEthType,
  setIcmpChecksum,
  setIpv4Checksum,
  setIpv4Dst,
  setIpv4Src,
  setIpv4TotalLength,
  setIpv4Ttl,
  setTcpAck,
  setTcpChecksum,
  setTcpDstPort,
  setTcpSeq,
  setTcpSrcPort,
  setUdpChecksum,
  setUdpDstPort,
  setUdpSrcPort,
  TCP_ACK,
  TCP_SYN,
  tcpAck,
  tcpChecksum,
  tcpDstPort,
  tcpFlags,
  tcpHeaderLength,
  tcpSeq,
  tcpSrcPort,
  tcpWindow,
  udpChecksum,
  udpDstPort,
  udpLength,
  udpSrcPort,
} from '../src/index.ts';
import { hex } from './support.ts';

type Getter = (u8: Uint8Array, at: number) => number | boolean;

// Each header is read in the middle of other bytes, so that an accessor that forgets `at` fails.
const AT = 3;
const shifted = (header: string): Uint8Array => Buffer.concat([hex('ffffff'), hex(header), hex('ffff')]);

const eth = shifted('02000a00000b 0a0b0c0d0e0f 0800');
const ipv4 = shifted('46b8 05dc beef 2003 3f06 1a2b 0a000015 ffff0102 01010101');
const tcp = shifted('982c 0050 fedcba98 89abcdef 8012 fb90 c001 0000 020405b401010402 01010101');
const udp = shifted('d431 0035 0042 abcd');
const icmp = shifted('0b01 9abc 1234 fffe');

const fields: [name: string, header: Uint8Array, read: Getter, want: number | boolean][] = [
  ['destination MAC address', eth, ethDst, 0x02000a00000b],
  ['source MAC address', eth, ethSrc, 0x0a0b0c0d0e0f],
  ['EtherType', eth, ethType, ETH_P_IP],
  ['IPv4 version', ipv4, ipv4Version, 4],
  ['IPv4 header length in bytes', ipv4, ipv4HeaderLength, 24],
  ['IPv4 type of service', ipv4, ipv4Tos, 0xb8],
  ['IPv4 total length', ipv4, ipv4TotalLength, 1500],
  ['IPv4 identification', ipv4, ipv4Id, 0xbeef],
  ['IPv4 fragment offset in bytes', ipv4, ipv4FragmentOffset, 24],
  ['IPv4 more-fragments bit makes a fragment', ipv4, ipv4IsFragment, true],
  ['IPv4 offset makes a later fragment', ipv4, ipv4IsLaterFragment, true],
  ['IPv4 time to live', ipv4, ipv4Ttl, 63],
  ['IPv4 protocol', ipv4, ipv4Protocol, 6],
  ['IPv4 header checksum', ipv4, ipv4Checksum, 0x1a2b],
  ['IPv4 source', ipv4, ipv4Src, 0x0a000015],
  ['IPv4 destination above 2^31 stays positive', ipv4, ipv4Dst, 0xffff0102],
  ['TCP source port', tcp, tcpSrcPort, 38956],
  ['TCP destination port', tcp, tcpDstPort, 80],
  ['TCP sequence number above 2^31 stays positive', tcp, tcpSeq, 0xfedcba98],
  ['TCP acknowledgement number', tcp, tcpAck, 0x89abcdef],
  ['TCP header length in bytes', tcp, tcpHeaderLength, 32],
  ['TCP flags', tcp, tcpFlags, TCP_SYN | TCP_ACK],
  ['TCP window', tcp, tcpWindow, 64400],
  ['TCP checksum', tcp, tcpChecksum, 0xc001],
  ['UDP source port', udp, udpSrcPort, 54321],
  ['UDP destination port', udp, udpDstPort, 53],
  ['UDP length', udp, udpLength, 66],
  ['UDP checksum', udp, udpChecksum, 0xabcd],
  ['ICMP type', icmp, icmpType, 11],
  ['ICMP code', icmp, icmpCode, 1],
  ['ICMP checksum', icmp, icmpChecksum, 0x9abc],
  ['ICMP id', icmp, icmpId, 0x1234],
  ['ICMP sequence', icmp, icmpSequence, 0xfffe],
];

test.each(fields)('%s is read', (_name, header, read, want) => {
  expect(read(header, AT)).toBe(want);
});

const setters: [name: string, set: (u8: Uint8Array, at: number, value: number) => void, read: Getter, bytes: number][] =
  [
    ['source MAC address', setEthSrc, ethSrc, 6],
    ['destination MAC address', setEthDst, ethDst, 6],
    ['EtherType', setEthType, ethType, 2],
    ['IPv4 source', setIpv4Src, ipv4Src, 4],
    ['IPv4 destination', setIpv4Dst, ipv4Dst, 4],
    ['IPv4 total length', setIpv4TotalLength, ipv4TotalLength, 2],
    ['IPv4 time to live', setIpv4Ttl, ipv4Ttl, 1],
    ['IPv4 checksum', setIpv4Checksum, ipv4Checksum, 2],
    ['TCP source port', setTcpSrcPort, tcpSrcPort, 2],
    ['TCP destination port', setTcpDstPort, tcpDstPort, 2],
    ['TCP sequence number', setTcpSeq, tcpSeq, 4],
    ['TCP acknowledgement number', setTcpAck, tcpAck, 4],
    ['TCP checksum', setTcpChecksum, tcpChecksum, 2],
    ['UDP source port', setUdpSrcPort, udpSrcPort, 2],
    ['UDP destination port', setUdpDstPort, udpDstPort, 2],
    ['UDP checksum', setUdpChecksum, udpChecksum, 2],
    ['ICMP checksum', setIcmpChecksum, icmpChecksum, 2],
  ];

test.each(setters)('%s is written where it is read, and nothing else is', (_name, set, read, bytes) => {
  const header = new Uint8Array(40);
  const value = 0xf1f2f3f4f5f6 % 2 ** (8 * bytes);
  set(header, AT, value);
  expect(read(header, AT)).toBe(value);
  expect(header.filter((byte) => byte !== 0)).toHaveLength(bytes);
});

test('a datagram that may not be fragmented is not a fragment', () => {
  const header = shifted('4500 0054 0000 4000 4001 0000 0a000001 0a000002');
  expect(ipv4IsFragment(header, AT)).toBe(false);
  expect(ipv4IsLaterFragment(header, AT)).toBe(false);
});

test('the first fragment is a fragment, but not a later one', () => {
  const header = shifted('4500 0054 0000 2000 4001 0000 0a000001 0a000002');
  expect(ipv4IsFragment(header, AT)).toBe(true);
  expect(ipv4IsLaterFragment(header, AT)).toBe(false);
});

test('an address is printed in dotted form', () => {
  expect(formatIpv4(0x0a600050)).toBe('10.96.0.80');
  expect(formatIpv4(0xffffffff)).toBe('255.255.255.255');
});
