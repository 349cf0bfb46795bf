import { readFileSync } from 'node:fs';
import { icmpEcho, parseIp, TCP_SYN, tcpSegment, udpDatagram } from '@ciliate/packet';
import { expect, test } from 'vitest';
import { flowFromAccessLog, formatCompact, type HttpRecord, parseEvent } from '../src/index.ts';
import { bytesOf, nameless, patched, resolver, TIME_NS } from './support.ts';

const recorded: { name: string; payload?: string }[] = JSON.parse(
  readFileSync(new URL('./fixtures/flows.json', import.meta.url), 'utf8'),
);
const payload = (name: string) => bytesOf(recorded.find((r) => r.name.startsWith(name))!.payload!);
const trace = payload('trace to-endpoint, new'); // 48 bytes, then an Ethernet frame
const drop = payload('drop policy denied');
const policyVerdict = payload('policy verdict allow-all');
const icmp = payload('icmp trace');
const AT = 'May  6 07:08:09.123:';
const FRAME = 48;
const ENDS6 = { srcMac: 0x020000000001, dstMac: 0x020000000002, src: parseIp('fd00::1')!, dst: parseIp('fd00::2')! };

/** The event of another packet. */
function over(event: Uint8Array, frame: Uint8Array): Uint8Array {
  const size = event[0] === 1 ? 40 : FRAME;
  return new Uint8Array([...event.subarray(0, size), ...frame]);
}

/** A UDP datagram with one extension header of 8 bytes. */
function withExtension(kind: number): Uint8Array {
  const plain = udpDatagram({ ...ENDS6, srcPort: 5353, dstPort: 53 });
  const header = patched(plain.subarray(0, 54), { [14 + 5]: 16, [14 + 6]: kind });
  return new Uint8Array([...header, 17, 0, 1, 4, 0, 0, 0, 0, ...plain.subarray(54)]);
}

// The lines that have a counterpart among Hubble's own are taken over from there.
const lines: [name: string, bytes: Uint8Array, want: string][] = [
  [
    'the datapath does not know the direction',
    patched(trace, { 1: 5, 26: 5 }),
    '10.0.0.1:40000 (ID:1001) <> 10.0.0.2:80 (ID:1002) from-endpoint FORWARDED (TCP Flags: SYN)',
  ],
  [
    'an extended error is not shown',
    patched(drop, { 1: 189, 31: 1 }),
    '10.0.0.1:40000 (ID:1001) <> 10.0.0.2:80 (ID:1002) Authentication required DROPPED (TCP Flags: SYN)',
  ],
  [
    'a drop code without a text',
    patched(drop, { 1: 159 }),
    '10.0.0.1:40000 (ID:1001) <> 10.0.0.2:80 (ID:1002) 159, 0 DROPPED (TCP Flags: SYN)',
  ],
  [
    'a verdict by identity and port',
    patched(policyVerdict, { 27: 1 | (2 << 3) }),
    '10.0.0.1:40000 (ID:1001) -> 10.0.0.2:80 (ID:1002) policy-verdict:L3-L4 INGRESS ALLOWED (TCP Flags: SYN)',
  ],
  [
    'a redirect to the proxy counts as allowed',
    patched(policyVerdict, { 20: 0x27, 21: 0x10, 27: 1 | (2 << 3) }),
    '10.0.0.1:40000 (ID:1001) -> 10.0.0.2:80 (ID:1002) policy-verdict:L3-L4 INGRESS ALLOWED (TCP Flags: SYN)',
  ],
  [
    'a denial on the way out: the remote identity is the destination’s',
    patched(policyVerdict, { 16: 0xea, 20: 0x7b, 21: 0xff, 22: 0xff, 23: 0xff, 27: 2 }),
    '10.0.0.1:40000 (ID:1001) <> 10.0.0.2:80 (ID:1002) policy-verdict:none EGRESS DENIED (TCP Flags: SYN)',
  ],
  [
    'authentication is told after the summary',
    patched(policyVerdict, { 28: 1 }),
    '10.0.0.1:40000 (ID:1001) -> 10.0.0.2:80 (ID:1002) policy-verdict:all INGRESS ALLOWED (TCP Flags: SYN; Auth: SPIRE)',
  ],
  [
    'all flags, in Hubble’s order',
    patched(trace, { [FRAME + 14 + 20 + 12]: 0x51, [FRAME + 14 + 20 + 13]: 0xff }),
    '10.0.0.1:40000 (ID:1001) -> 10.0.0.2:80 (ID:1002) to-endpoint FORWARDED (TCP Flags: SYN, ACK, RST, FIN, PSH, URG, ECE, CWR, NS)',
  ],
  [
    'an ICMP type with a name for its code',
    patched(icmp, { [FRAME + 34]: 3, [FRAME + 35]: 4 }),
    '10.0.0.1 (ID:1001) -> 10.0.0.2 (ID:1002) to-endpoint FORWARDED (ICMPv4 DestinationUnreachable(FragmentationNeeded))',
  ],
  [
    'an ICMP code where none is meant',
    patched(icmp, { [FRAME + 35]: 7 }),
    '10.0.0.1 (ID:1001) -> 10.0.0.2 (ID:1002) to-endpoint FORWARDED (ICMPv4 EchoRequest(Code: 7))',
  ],
  [
    'an ICMP type without a name',
    patched(icmp, { [FRAME + 34]: 99, [FRAME + 35]: 1 }),
    '10.0.0.1 (ID:1001) -> 10.0.0.2 (ID:1002) to-endpoint FORWARDED (ICMPv4 99(1))',
  ],
  [
    'a fragment is not read beyond IPv4, not even the first one',
    patched(trace, { [FRAME + 14 + 6]: 0x20 }),
    '10.0.0.1 (ID:1001) -> 10.0.0.2 (ID:1002) to-endpoint FORWARDED (IPv4)',
  ],
  [
    'neither is another protocol',
    patched(trace, { [FRAME + 14 + 9]: 2 }),
    '10.0.0.1 (ID:1001) -> 10.0.0.2 (ID:1002) to-endpoint FORWARDED (IPv4)',
  ],
  [
    'SCTP says that it is not supported',
    patched(trace, { [FRAME + 14 + 9]: 132 }),
    '10.0.0.1 (ID:1001) -> 10.0.0.2 (ID:1002) to-endpoint FORWARDED (SCTP, not supported yet)',
  ],
  [
    'without IP the Ethernet addresses stand for the ends',
    patched(drop, { 1: 139, [40 + 12]: 0x08, [40 + 13]: 0x06 }),
    '02:00:00:00:00:01 (ID:1001) <> 02:00:00:00:00:02 (ID:1002) Unsupported L3 protocol DROPPED (Ethernet)',
  ],
  [
    'IPv6 addresses stand in brackets before a port',
    over(trace, tcpSegment({ ...ENDS6, srcPort: 40_000, dstPort: 80, seq: 1, flags: TCP_SYN })),
    '[fd00::1]:40000 (ID:1001) -> [fd00::2]:80 (ID:1002) to-endpoint FORWARDED (TCP Flags: SYN)',
  ],
  [
    'UDP over IPv6',
    over(drop, udpDatagram({ ...ENDS6, srcPort: 5353, dstPort: 53 })),
    '[fd00::1]:5353 (ID:1001) <> [fd00::2]:53 (ID:1002) Policy denied DROPPED (UDP)',
  ],
  [
    'ICMPv6 has no ports, so no brackets',
    over(trace, icmpEcho({ ...ENDS6, id: 1, sequence: 1 })),
    'fd00::1 (ID:1001) -> fd00::2 (ID:1002) to-endpoint FORWARDED (ICMPv6 EchoRequest)',
  ],
  [
    'ICMPv6 has names of its own',
    over(trace, patched(icmpEcho({ ...ENDS6, id: 1, sequence: 1 }), { [14 + 40]: 1, [14 + 41]: 4 })),
    'fd00::1 (ID:1001) -> fd00::2 (ID:1002) to-endpoint FORWARDED (ICMPv6 DestinationUnreachable(PortUnreachable))',
  ],
  [
    'a neighbour is asked for',
    over(trace, patched(icmpEcho({ ...ENDS6, id: 1, sequence: 1 }), { [14 + 40]: 135 })),
    'fd00::1 (ID:1001) -> fd00::2 (ID:1002) to-endpoint FORWARDED (ICMPv6 NeighborSolicitation)',
  ],
  [
    'behind hop-by-hop options the transport is read',
    over(trace, withExtension(0)),
    '[fd00::1]:5353 (ID:1001) -> [fd00::2]:53 (ID:1002) to-endpoint FORWARDED (UDP)',
  ],
  [
    'behind other extension headers it is not',
    over(trace, withExtension(60)),
    'fd00::1 (ID:1001) -> fd00::2 (ID:1002) to-endpoint FORWARDED (IPv6)',
  ],
  [
    'the IPv6 address before translation is shown',
    patched(over(trace, tcpSegment({ ...ENDS6, srcPort: 40_000, dstPort: 80, seq: 1, flags: TCP_SYN })), {
      27: 1,
      32: 0xfd,
      47: 9,
    }),
    '[fd00::9]:40000 (ID:1001) -> [fd00::2]:80 (ID:1002) to-endpoint FORWARDED (TCP Flags: SYN)',
  ],
  [
    'an identity that nobody knows',
    patched(trace, { 16: 0, 17: 0, [FRAME + 14 + 13]: 9 }),
    '10.9.0.1:40000 (unknown) -> 10.0.0.2:80 (ID:1002) to-endpoint FORWARDED (TCP Flags: SYN)',
  ],
  [
    'the address before translation is shown',
    patched(trace, { 32: 10, 33: 9, 34: 9, 35: 9 }),
    '10.9.9.9:40000 (ID:1001) -> 10.0.0.2:80 (ID:1002) to-endpoint FORWARDED (TCP Flags: SYN)',
  ],
  ['an event without packet bytes', trace.slice(0, FRAME), ' (ID:1001) ->  (ID:1002) to-endpoint FORWARDED ()'],
];
test.each(lines)('%s', (_name, bytes, want) => {
  expect(formatCompact(parseEvent(bytes, nameless, TIME_NS))).toBe(`${AT} ${want}`);
});

test('pods are shown by name; the line of a reply keeps the client on the left', () => {
  const line = formatCompact(parseEvent(payload('trace to-endpoint, reply'), resolver, TIME_NS));
  expect(line).toBe(
    `${AT} default/client:40000 (ID:1001) <- prod/server:80 (ID:1002) to-endpoint FORWARDED (TCP Flags: SYN, ACK)`,
  );
});

test('an address of a Service is shown by the name of the Service', () => {
  const toService = patched(trace, { [FRAME + 14 + 17]: 0x60, [FRAME + 14 + 19]: 1 });
  const flow = parseEvent(toService, resolver, TIME_NS);
  expect(formatCompact(flow)).toContain('default/client:40000 (ID:1001) -> prod/web:80 (ID:1002)');
  expect(flow.destinationService).toEqual({ namespace: 'prod', name: 'web' });
});

// `source` of the event is the endpoint whose program wrote it: client 11, server 22.
const directions: [name: string, bytes: Uint8Array, want: string][] = [
  ['a new packet leaves its sender', patched(trace, { 2: 11 }), 'EGRESS'],
  ['a new packet arrives at its receiver', patched(trace, { 2: 22 }), 'INGRESS'],
  ['a reply arrives at who asked', patched(trace, { 2: 22, 26: 2 }), 'EGRESS'],
  ['a reply leaves who was asked', patched(trace, { 2: 11, 26: 2 }), 'INGRESS'],
  ['a translated packet leaves', patched(trace, { 2: 22, 32: 10, 35: 9 }), 'EGRESS'],
  ['an encrypted overlay packet leaves', patched(trace, { 2: 22, 26: 8 }), 'EGRESS'],
  ['not known for a reason not known', patched(trace, { 2: 11, 26: 5 }), 'TRAFFIC_DIRECTION_UNKNOWN'],
  ['not known where no endpoint wrote it', patched(trace, { 2: 0, 3: 0 }), 'TRAFFIC_DIRECTION_UNKNOWN'],
  ['not known for a drop that no endpoint wrote', patched(drop, { 2: 0 }), 'TRAFFIC_DIRECTION_UNKNOWN'],
];
test.each(directions)('direction: %s', (_name, bytes, want) => {
  expect(parseEvent(bytes, resolver, TIME_NS).trafficDirection).toBe(want);
});

const refused: [name: string, bytes: Uint8Array, code: string, message: string][] = [
  ['nothing', new Uint8Array(0), 'INVALID', 'not an event of the datapath (type=0 bytes=0)'],
  ['no event', Uint8Array.of(99), 'INVALID', 'not an event of the datapath'],
  ['a trace cut short', trace.slice(0, 47), 'INVALID', 'an event cut short (bytes=47 wants=48)'],
  [
    'an old trace',
    patched(trace, { 14: 0 }),
    'UNSUPPORTED',
    'version are not supported (type=4 version=0 supported=1)',
  ],
  ['a packet without Ethernet', patched(trace, { 27: 2 }), 'UNSUPPORTED', 'devices without Ethernet headers'],
  ['a socket trace', Uint8Array.of(7), 'UNSUPPORTED', 'socket traces are not supported yet'],
  ['a debug message', Uint8Array.of(2), 'UNSUPPORTED', 'debug messages are not supported yet'],
];
test.each(refused)('refused: %s', (_name, bytes, code, message) => {
  expect(() => parseEvent(bytes, resolver, TIME_NS)).toThrow(
    expect.objectContaining({ code, message: expect.stringContaining(message) }),
  );
});

test('a forwarded request, with a path that does not start with a slash', () => {
  const record: HttpRecord = {
    timestampNs: TIME_NS,
    entryType: 'Request',
    isIngress: true,
    sourceIdentity: 1001,
    destinationIdentity: 1002,
    source: { ip: 0x0a000001, port: 40000 },
    destination: { ip: 0x0a000002, port: 80 },
    method: 'OPTIONS',
    path: '*',
    host: 'server.prod',
    protocol: 'HTTP/1',
    status: 0,
    latencyNs: 0n,
  };
  expect(formatCompact(flowFromAccessLog(record, resolver))).toBe(
    `${AT} default/client:40000 (ID:1001) -> prod/server:80 (ID:1002) http-request FORWARDED (HTTP/1 OPTIONS http://server.prod/*)`,
  );
});
