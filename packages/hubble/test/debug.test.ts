import { expect, test } from 'vitest';
import { formatLost, isDebugEvent, parseDebug } from '../src/index.ts';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

/** struct debug_msg: type, subtype, source le16, hash, three arguments le32. */
const messages: [args: string, text: string][] = [
  ['02 66000000 11270000 00000000', 'Attempting local delivery for container id 102 from seclabel 10001'],
  ['03 0200000a 11270000 00000000', 'Encapsulating to node 167772162 (0xa000002) from seclabel 10001'],
  ['05 11270000 12270000 00000000', 'Policy evaluation would deny packet from 10001 to 10002'],
  ['08 e8030000 00010000 00000000', 'CT entry found lifetime=1000, revnat=1'],
  ['0b 87000000 00000000 00000000', 'Handling ICMPv6 type=135'],
  ['0d 00000000 fe000000 00000000', 'ICMPv6 neighbour soliciation for address 0:fe'],
  ['0e 00000000 00000000 00000000', 'Sending ICMPv6 time exceeded'],
  ['0f 00000000 00000000 00000000', 'CT verdict: New, revnat=0'],
  ['0f 02000000 00140000 00000000', 'CT verdict: Reply, revnat=20'],
  ['10 11270000 00000000 00000000', 'Tunnel decap: id=10001 flowlabel=0'],
  ['18 02000000 00500000 00000000', 'Service backend slot lookup: slot=2, dport=80'],
  ['20 02000000 00500000 00000000', 'Service backend slot lookup: slot=2, dport=80'],
  ['1a 02000000 00500000 00000000', 'Service backend slot lookup failed: slot=2, dport=80'],
  ['22 02000000 00500000 00000000', 'Service backend slot lookup failed: slot=2, dport=80'],
  ['1b 07000000 00000000 00000000', 'Backend service lookup failed: backend_id=7'],
  ['23 07000000 00000000 00000000', 'Backend service lookup failed: backend_id=7'],
  ['1c 00140000 00000000 00000000', 'Reverse NAT lookup, index=20'],
  ['24 00140000 00000000 00000000', 'Reverse NAT lookup, index=20'],
  ['1d 00000061 00500000 00000000', 'Performing reverse NAT, address.p4=61000000 port=80'],
  ['25 0a600014 00500000 00000000', 'Performing reverse NAT, address=10.96.0.20 port=80'],
  ['26 0af4010b a9fe2a01 00000000', 'Loopback SNAT from=10.244.1.11 to=169.254.42.1'],
  ['27 a9fe2a01 0af4010b 00000000', 'Loopback reverse SNAT from=169.254.42.1 to=10.244.1.11'],
  ['41 0af4010b 0a60005a 983a0000', 'L7 LB from 10.244.1.11 to 10.96.0.90: proxy port 15000'],
  ['30 0af4010b 0af4010c 409c5000', 'Conntrack lookup 1/2: src=10.244.1.11:40000 dst=10.244.1.12:80'],
  ['31 01060000 00000000 02000000', 'Conntrack lookup 2/2: nexthdr=6 flags=1'],
  ['32 00010000 11270000 00000000', 'Conntrack create: proxy-port=0 revnat=1 src-identity=10001 lb=0.0.0.0'],
  ['33 0000000b 0000000c 409c5000', 'Conntrack lookup 1/2: src=[::0:b]:40000 dst=[::0:c]:80'],
  ['34 013a0000 01000000 00000000', 'Conntrack lookup 2/2: nexthdr=58 flags=1'],
  ['35 00010000 11270000 00000000', 'Conntrack create: proxy-port=0 revnat=1 src-identity=10001'],
  ['37 12270000 11270000 06000050', 'Matched L4 policy; creating conntrack src=10002 dst=10001 dport=80 proto=6'],
  ['38 0af4010c 02000000 00000000', 'Failed to map addr=10.244.1.12 to identity'],
  ['39 0001000c 02000000 00000000', 'Failed to map addr.p4=[::1:c] to identity'],
  ['3a 0af4010c 12270000 00000000', 'Successfully mapped addr=10.244.1.12 to identity=10002'],
  ['3b 0001000c 12270000 00000000', 'Successfully mapped addr.p4=[::1:c] to identity=10002'],
  ['3d 02000000 00000000 00000000', 'Inheriting identity=2 from stack'],
  ['ff 01000000 02000000 00000000', 'Unknown message type=255 arg1=1 arg2=2'],
];

test.each(messages)('debug message %s', (args, text) => {
  const [subType, ...rest] = args.split(' ');
  const event = bytes(`02${subType}6500 00000000${rest.join('')}`);
  expect(isDebugEvent(event)).toBe(true);
  const { packet, ...parsed } = parseDebug(event);
  expect(parsed).toEqual({ type: 'debug', subType: Number.parseInt(subType!, 16), source: 101, text });
  expect(packet).toHaveLength(0);
});

/** struct debug_capture_msg: and len_orig le32, len_cap le16, version le16 before two arguments. */
const captures: [args: string, text: string][] = [
  ['04 00000000', '54 bytes, Delivery to ifindex 0'],
  ['08 27100000', '54 bytes, Packet to proxy port 10000 (Pre)'],
  ['09 27100000', '54 bytes, Packet to proxy port 10000 (Post)'],
];

test.each(captures)('debug capture %s has the first bytes of the packet', (args, text) => {
  const [subType, arg1] = args.split(' ');
  const event = bytes(`03${subType}6500 00000000 36000000 0300 0100 ${arg1} 00000000 aabbcc`);
  expect(parseDebug(event)).toMatchObject({ type: 'capture', source: 101, text, packet: bytes('aabbcc') });
});

const refused: [name: string, hex: string][] = [
  ['a message cut short', '02020000 00000000 01000000 01000000 0100'],
  ['another event', '04020000 00000000 01000000 01000000 01000000 01000000'],
  ['nothing', ''],
];
test.each(refused)('%s is refused', (_name, hex) => {
  expect(() => parseDebug(bytes(hex))).toThrow('not a debug event');
});

test('lost events read as hubble observe prints them', () => {
  const lost = { timeNs: 0n, source: 'PERF_EVENT_RING_BUFFER', cpu: 5, numEventsLost: 1 } as const;
  expect(formatLost(lost)).toBe('EVENTS LOST: PERF_EVENT_RING_BUFFER CPU(5) 1');
});
