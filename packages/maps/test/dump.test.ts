import { expect, test } from 'vitest';
import {
  addressText,
  backendText,
  ctEntryText,
  ctLine,
  ctRecord,
  endpointInfoText,
  endpointKeyText,
  fragmentRecord,
  ipcacheKeyText,
  ipcacheValueText,
  metricsKeyText,
  natLine,
  natRecord,
  policyCells,
  policyRecord,
  policyStatsKey,
  revNatText,
  serviceEntryText,
  serviceKeyText,
  serviceValueText,
  sourceRangeText,
} from '../src/index.ts';

/** Entries as they lay in the kernel's maps, and what Cilium's command-line tool writes for them. */
const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

/** struct ct_entry: reserved, backend_id, packets, bytes u64; lifetime u32, flags, rev_nat, reserved u16, flags seen, ids and times. */
const ctEntry = (flags: string): Uint8Array =>
  bytes(
    `0000000000000000 1500000000000000 0200000000000000 6c00000000000000
    dc860100 ${flags} 001e 0000 02 12 11270000 a0860100 a1860100`.replaceAll('\n', ''),
  );
const CT_TAIL = 'RevNAT=30 SourceSecurityID=10001 BackendID=21';

const conntrack: [name: string, key: string, flags: string, line: string | undefined][] = [
  [
    'a connection that a pod opened reads in its own direction, which is not the order of the fields',
    '0af4010b 0af4010c 0050 9c40 06 00',
    '0000',
    'TCP OUT 10.244.1.11:40000 -> 10.244.1.12:80 expires=100060 Packets=2 Bytes=108 RxFlagsSeen=0x12 LastRxReport=100001 TxFlagsSeen=0x02 LastTxReport=100000 Flags=0x0000 [ ]',
  ],
  [
    'one that came in',
    '0af4010b 0af4010c 0050 9c40 06 01',
    '1300',
    'TCP IN 10.244.1.11:40000 -> 10.244.1.12:80 expires=100060 Packets=2 Bytes=108 RxFlagsSeen=0x12 LastRxReport=100001 TxFlagsSeen=0x02 LastTxReport=100000 Flags=0x0013 [ RxClosing TxClosing SeenNonSyn ]',
  ],
  [
    'one to a service has its ports the other way round',
    '0a600050 0af4010b 9c40 0050 06 04',
    '6005',
    'TCP SVC 10.244.1.11:40000 -> 10.96.0.80:80 expires=100060 Packets=2 Bytes=108 RxFlagsSeen=0x12 LastRxReport=100001 TxFlagsSeen=0x02 LastTxReport=100000 Flags=0x0560 [ NodePort ProxyRedirect FromL7LB FromTunnel ]',
  ],
  [
    'ICMP errors about a connection, and a flag that the tool does not know',
    '0af4010b 0af4010c 0000 0000 01 03',
    '0008',
    'ICMP IN 10.244.1.11:0 -> 10.244.1.12:0 related expires=100060 Packets=2 Bytes=108 RxFlagsSeen=0x12 LastRxReport=100001 TxFlagsSeen=0x02 LastTxReport=100000 Flags=0x0800 [ Unknown=0x0800 ]',
  ],
  ['a key without protocol is left out', '0af4010b 0af4010c 0000 0000 00 00', '0000', undefined],
];

test.each(conntrack)('conntrack: %s', (_name, key, flags, line) => {
  expect(ctLine(bytes(key), ctEntry(flags))).toBe(line === undefined ? undefined : `${line} ${CT_TAIL} `);
});

test('conntrack: IPv6 addresses stand without brackets', () => {
  const key = bytes('fd00001002440001000000000000000b fd00001002440001000000000000000c 0050 9c40 06 00');
  expect(ctLine(key, ctEntry('0000'))).toMatch(/^TCP OUT fd00:10:244:1::b:40000 -> fd00:10:244:1::c:80 expires=/);
});

test('conntrack: with the time, it says how long the entry has to live', () => {
  expect(ctEntryText(ctEntry('0000'), 100_000)).toMatch(/^expires=100060 \(remaining: 60 sec\(s\)\) Packets=2 /);
});

test('conntrack in JSON: ports and RevNAT as a little-endian machine reads them', () => {
  expect(ctRecord(bytes('0af4010b 0af4010c 0050 9c40 06 01'), ctEntry('1300'))).toEqual({
    Key: {
      DestAddr: [10, 244, 1, 11],
      SourceAddr: [10, 244, 1, 12],
      DestPort: 0x5000,
      SourcePort: 0x409c,
      NextHeader: 6,
      Flags: 1,
    },
    Value: {
      Reserved0: 0,
      BackendID: 21,
      Packets: 2,
      Bytes: 108,
      Lifetime: 100060,
      Flags: 0x13,
      RevNAT: 0x1e00,
      Reserved4: 0,
      TxFlagsSeen: 2,
      RxFlagsSeen: 0x12,
      SourceSecurityID: 10001,
      LastTxReport: 100000,
      LastRxReport: 100001,
    },
  });
});

const NAT4 = '0000000000000000 0100000000000000 0000000000000000 0000000000000000';
const nat: [name: string, key: string, value: string, line: string][] = [
  [
    'what leaves gets another source',
    '0af40215 c0000207 1f90 9ca5 06 00',
    `${NAT4} 0a000001 9ca5 0000`,
    'TCP OUT 192.0.2.7:40101 -> 10.244.2.21:8080 XLATE_SRC 10.0.0.1:40101 Created=7sec ago NeedsCT=1',
  ],
  [
    'what comes back its old destination',
    '0a000001 0af40215 9ca5 1f90 06 01',
    `${NAT4} c0000207 9ca5 0000`,
    'TCP IN 10.244.2.21:8080 -> 10.0.0.1:40101 XLATE_DST 192.0.2.7:40101 Created=7sec ago NeedsCT=1',
  ],
];

test.each(nat)('NAT: %s', (_name, key, value, line) => {
  expect(natLine(bytes(key), bytes(value), 7)).toBe(line);
});

test('NAT in JSON has addresses as bytes', () => {
  const [, key, value] = nat[0]!.slice(0) as [string, string, string];
  expect(natRecord(bytes(key), bytes(value))).toMatchObject({
    Value: { NeedsCT: 1, Addr: [10, 0, 0, 1], Port: 0xa59c },
  });
});

const policies: [name: string, key: string, value: string, cells: string[], port: string][] = [
  ['a port', '40000000 12270000 01 06 0050', '0000c00000000000', ['Allow', 'Egress'], '80/TCP'],
  ['a range of ports', '3a000000 12270000 00 11 0040', '0000900000000000', ['Allow', 'Ingress'], '64-127/UDP'],
  ['a protocol', '30000000 12270000 00 84 0000', '0000400000000000', ['Allow', 'Ingress'], 'SCTP'],
  ['everything is denied', '28000000 00000000 01 00 0000', '0000010000000000', ['Deny', 'Egress'], 'ANY'],
];

test.each(policies)('policy: %s', (_name, key, value, cells, port) => {
  const { before, after } = policyCells({ key: bytes(key), value: bytes(value), stats: undefined });
  expect(before).toEqual(cells);
  expect(after.slice(0, 5)).toEqual([port, 'NONE', 'disabled', '-', '-']);
});

test('policy: a redirect with authentication, and what was counted', () => {
  const dump = {
    key: bytes('40000000 b2010000 00 06 0050'),
    value: bytes('2710c0811b000000'),
    stats: { packets: 3, bytes: 222 },
  };
  expect(policyCells(dump).after).toEqual(['80/TCP', '10000', 'spire', '222', '3', '24']);
  expect(policyRecord(dump)).toMatchObject({
    ProxyPortNetwork: 0x1027,
    AuthRequirement: 0x81,
    ProxyPortPriority: 27,
    Packets: 3,
  });
  expect(Buffer.from(policyStatsKey(2, dump.key)).toString('hex')).toBe('02000018b201000000060050');
});

test('policy in JSON: an entry without counters has the largest u64', () => {
  const [, key, value] = policies[0]!;
  expect(policyRecord({ key: bytes(key), value: bytes(value), stats: undefined })).toMatchObject({
    Packets: 18_446_744_073_709_551_615n,
    Key: { Prefixlen: 64, Identity: 10002, TrafficDirection: 1, Nexthdr: 6, DestPortNetwork: 0x5000 },
  });
});

const backends = new Map([[2, bytes('0a00000c 0050 06 00 0000 00 00')]]);
const services: [name: string, key: string, value: string, frontend: string, entry: string, raw: string][] = [
  [
    'a ClusterIP',
    '0a600050 0050 0000 06 00 0000',
    '00000000 0200 0001 00 00 0000',
    '10.96.0.80:80/TCP (0)',
    '0.0.0.0:0 (1) (0) [ClusterIP, non-routable] ',
    '0 2[0] (1) [0x0 0x0]',
  ],
  [
    'one of its slots',
    '0a600050 0050 0200 06 00 0000',
    '02000000 0000 0001 00 00 0000',
    '10.96.0.80:80/TCP (2)',
    '10.0.0.12:80/TCP (1) (2)',
    '2 0[0] (1) [0x0 0x0]',
  ],
  [
    'the inner scope of a NodePort with local traffic policy and affinity, and a backend in quarantine',
    'c0000207 7530 0000 11 01 0000',
    '10270000 0100 001e 56 20 0100',
    '192.0.2.7:30000/UDP/i (0)',
    '0.0.0.0:0 (30) (0) [NodePort, Local, two-scopes, sessionAffinity] ',
    '10000 1[1] (30) [0x56 0x20]',
  ],
  [
    'a slot whose backend is gone',
    '0a600050 0050 0300 06 00 0000',
    '09000000 0000 0001 00 00 0000',
    '10.96.0.80:80/TCP (3)',
    'backend 9 not found',
    '9 0[0] (1) [0x0 0x0]',
  ],
];

test.each(services)('services: %s', (_name, key, value, frontend, entry, raw) => {
  expect(serviceKeyText(bytes(key))).toBe(frontend);
  expect(serviceEntryText(bytes(key), bytes(value), backends)).toBe(entry);
  expect(serviceValueText(bytes(value))).toBe(raw);
});

const texts: [name: string, text: string, want: string][] = [
  ['a backend has no port', backendText(backends.get(2)!), 'TCP://10.0.0.12'],
  ['what clients know a service by', revNatText(bytes('0a600050 0050')), '10.96.0.80:80'],
  ['a source range', sourceRangeText(bytes('28000000 001e 0000 0a000000')), '10.0.0.0/8 (30)'],
  ['a prefix', ipcacheKeyText(bytes(`38000000 0000 00 01 0af40200 ${'00'.repeat(12)}`)), '10.244.2.0/24'],
  [
    'a prefix of another cluster',
    ipcacheKeyText(bytes(`40000000 0300 00 01 0af40215 ${'00'.repeat(12)}`)),
    '10.244.2.21/32@3',
  ],
  [
    'who has a prefix, and behind which node',
    ipcacheValueText(bytes(`15270000 0a000002 ${'00'.repeat(12)} 0000 00 02`)),
    'identity=10005 encryptkey=0 tunnelendpoint=10.0.0.2 flags=hastunnel',
  ],
  ['an endpoint', endpointKeyText(bytes(`0af4010b ${'00'.repeat(12)} 01 00 0000`)), '10.244.1.11:0'],
  [
    'what is known of it',
    endpointInfoText(
      bytes(
        '0b000000 0000 6500 00000000 00000000 0a000000010b 0000 0e000000010b 0000 11270000 00000000 00000000 00000000',
      ),
    ),
    'id=101   sec_id=10001 flags=0x0000 ifindex=11  mac=0A:00:00:00:01:0B nodemac=0E:00:00:00:01:0B parent_ifindex=0  ',
  ],
  [
    'the node itself',
    endpointInfoText(
      bytes(
        '02000000 0000 0000 01000000 00000000 0a000000010b 0000 0e000000010b 0000 00000000 00000000 00000000 00000000',
      ),
    ),
    '(localhost)',
  ],
  ['an IPv6 address', addressText(bytes('20010db8000000000000000000000007')), '2001:db8::7'],
  ['one with a single zero group keeps it', addressText(bytes('00010002000300000005000600070008')), '1:2:3:0:5:6:7:8'],
];

test.each(texts)('text: %s', (_name, text, want) => {
  expect(text).toBe(want);
});

test('fragments: an IPv4 and an IPv6 datagram', () => {
  expect(fragmentRecord(bytes('0af4010c 0af4010b 0064 11 00'), bytes('0bb8 0035'))).toEqual({
    ID: 100,
    Proto: 17,
    SourceAddress: '10.244.1.11:47115',
    DestAddress: '10.244.1.12:13568',
  });
  const key = bytes('00000064 11 000000 fd00001002440001000000000000000b fd00001002440001000000000000000c');
  expect(fragmentRecord(key, bytes('0bb8 0035'))).toMatchObject({ ID: 100, Proto: 17 });
});

test('metrics: reason, direction and place in words', () => {
  const key = (reason: string, dir: string): Uint8Array => bytes(`${reason} ${dir} 1d01 6f 000000`);
  const dropText = (code: number): string => `drop ${code}`;
  const want = { reason: 'Success', direction: 'INGRESS', line: 285, file: 'trace.h' };
  expect(metricsKeyText(key('00', '01'), dropText)).toEqual(want);
  expect(metricsKeyText(key('85', '02'), dropText)).toMatchObject({ reason: 'drop 133', direction: 'EGRESS' });
});
