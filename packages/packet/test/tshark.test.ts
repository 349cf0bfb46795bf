import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  icmpEcho,
  openCapture,
  PcapngWriter,
  parseFrame,
  parseIp,
  TCP_ACK,
  TCP_PSH,
  TCP_SYN,
  tcpSegment,
  udpDatagram,
  writePcap,
} from '../src/index.ts';
import { temporaryFolder } from './support.ts';

// Wireshark's reader judges what our writers and builders make, and its writer makes what our reader reads.
const missing = ['tshark', 'editcap'].filter((tool) => spawnSync(tool, ['--version']).error);
const wireshark = test.skipIf(missing.length > 0);
const note = missing.length > 0 ? ` [skipped: ${missing.join(' and ')} not installed]` : '';

const folder = temporaryFolder();
const ends = { srcMac: 0x02000a000015, dstMac: 0x020000000001, src: 0x0a000015, dst: 0x0a00000b };
const packets = [
  tcpSegment({ ...ends, srcPort: 4000, dstPort: 80, seq: 1, flags: TCP_SYN, options: Uint8Array.of(2, 4, 5, 180) }),
  tcpSegment({
    ...ends,
    srcPort: 4000,
    dstPort: 80,
    seq: 2,
    ack: 9,
    flags: TCP_ACK | TCP_PSH,
    payload: Uint8Array.of(7),
  }),
  udpDatagram({ ...ends, srcPort: 4000, dstPort: 5000, payload: Uint8Array.of(1, 2, 3) }),
  icmpEcho({ ...ends, id: 5, sequence: 6, payload: Uint8Array.of(1) }),
].map((data, i) => ({ data, timestampNs: 1_700_000_000_000_000_000n + BigInt(i) }));

/** One row per packet: the fields that tshark prints for it. */
function tshark(file: string, ...fields: string[]): string[][] {
  const checks = ['ip', 'tcp', 'udp'].flatMap((protocol) => ['-o', `${protocol}.check_checksum:TRUE`]);
  const wanted = fields.flatMap((field) => ['-e', field]);
  const out = execFileSync('tshark', ['-r', file, '-n', ...checks, '-T', 'fields', ...wanted], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return out
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t'));
}

const checksums = ['ip.checksum.status', 'tcp.checksum.status', 'udp.checksum.status', 'icmp.checksum.status'];

wireshark(`tshark finds the checksums of built frames good, and the times of a pcap${note}`, () => {
  const path = join(folder, 'built.pcap');
  writePcap(path, packets);
  const good = '1';
  expect(tshark(path, ...checksums)).toEqual([
    [good, good, '', ''],
    [good, good, '', ''],
    [good, '', good, ''],
    [good, '', '', good],
  ]);
  const times = tshark(path, 'frame.time_epoch').map(([time]) => BigInt(time!.replace('.', '')));
  expect(times).toEqual(packets.map(({ timestampNs }) => timestampNs));
});

wireshark(`tshark finds the checksums of frames over IPv6 good, also behind an extension header${note}`, () => {
  const path = join(folder, 'built6.pcap');
  const ends6 = { src: parseIp('2001:db8::1')!, dst: parseIp('fd00::2')! };
  const udp = udpDatagram({ ...ends6, srcPort: 4000, dstPort: 5000, payload: Uint8Array.of(1, 2, 3) });
  const options = new Uint8Array([...udp.subarray(0, 54), 17, 0, 1, 4, 0, 0, 0, 0, ...udp.subarray(54)]);
  options[14 + 5] = udp.length - 54 + 8;
  options[14 + 6] = 0; // hop-by-hop
  const frames = [
    tcpSegment({ ...ends6, srcPort: 4000, dstPort: 80, seq: 1, flags: TCP_SYN }),
    udp,
    options,
    icmpEcho({ ...ends6, id: 5, sequence: 6, payload: Uint8Array.of(1) }),
  ];
  writePcap(
    path,
    frames.map((data) => ({ data, timestampNs: 0n })),
  );
  const good = '1';
  expect(tshark(path, 'tcp.checksum.status', 'udp.checksum.status', 'icmpv6.checksum.status')).toEqual([
    [good, '', ''],
    ['', good, ''],
    ['', good, ''],
    ['', '', good],
  ]);
  expect(tshark(path, 'ipv6.src', 'ipv6.dst')[0]).toEqual(['2001:db8::1', 'fd00::2']);
});

wireshark(`tshark reads the interfaces, comments and times of a pcapng${note}`, () => {
  const path = join(folder, 'built.pcapng');
  writeComments(path);
  const rows = tshark(path, 'frame.interface_name', 'frame.interface_description', 'frame.comment', 'frame.time_epoch');
  expect(rows).toEqual(
    packets.map((_, i) => [`pod-${i % 2}`, `what pod ${i % 2} sent`, `no. ${i}: ✓`, `1700000000.00000000${i}`]),
  );
});

function writeComments(path: string): void {
  using out = new PcapngWriter(path);
  for (const i of [0, 1]) out.addInterface({ name: `pod-${i}`, description: `what pod ${i} sent` });
  for (const [i, packet] of packets.entries()) out.write({ ...packet, interfaceId: i % 2, comment: `no. ${i}: ✓` });
}

test.skipIf(missing.length > 0).each([
  ['pcap', 1000n],
  ['nsecpcap', 1n],
  ['pcapng', 1n],
])(`what editcap writes as %s is read back${note}`, (format, precisionNs) => {
  const from = join(folder, 'from.pcap');
  const to = join(folder, `to.${format}`);
  writePcap(from, packets);
  execFileSync('editcap', ['-F', format, from, to], { stdio: 'ignore' });
  const read = [...openCapture(to)].map(({ data, timestampNs }) => ({ data, timestampNs }));
  expect(read).toEqual(
    packets.map(({ data, timestampNs }) => ({ data, timestampNs: timestampNs - (timestampNs % precisionNs) })),
  );
  expect(read.map(({ data }) => parseFrame(data).error)).toEqual([undefined, undefined, undefined, undefined]);
});
