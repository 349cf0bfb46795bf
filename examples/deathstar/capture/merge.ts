// Merge the files that capture.sh recorded, one per pod, into one pcapng: sorted by time, one interface per pod.
// A recording that the replay could not follow is refused, not written.
//
// usage: node merge.ts FOLDER OUTPUT.pcapng      FOLDER holds NAMESPACE_POD.pcap files

import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  type CapturedPacket,
  openCapture,
  type ParsedFrame,
  PcapngWriter,
  parseFrame,
  TCP_ACK,
  TCP_FIN,
  TCP_RST,
  TCP_SYN,
  verifyChecksums,
} from '../../../packages/packet/src/index.ts';

interface Sent extends CapturedPacket {
  pod: string; // namespace/name
}

const [folder, output] = process.argv.slice(2);
if (folder === undefined || output === undefined) throw new Error('usage: node merge.ts FOLDER OUTPUT.pcapng');

const packets = readPods(folder).sort((a, b) => Number(a.timestampNs - b.timestampNs));
const problems = findProblems(packets);
if (problems.length > 0) throw new Error(`this recording will not do:\n${problems.join('\n')}`);
write(output, packets);
console.log(`${output}: ${packets.length} packets`);

function readPods(from: string): Sent[] {
  const files = readdirSync(from).filter((name) => name.endsWith('.pcap'));
  return files.sort().flatMap((name) => {
    const pod = basename(name, '.pcap').replace('_', '/'); // no Kubernetes name has an underscore
    return [...openCapture(join(from, name))].map((packet) => ({ ...packet, pod }));
  });
}

function findProblems(sent: Sent[]): string[] {
  const problems: string[] = [];
  const answeredBy = new Set<string>();
  const conversations = new Map<string, Direction[]>();
  for (const { pod, data, number, originalLength } of sent) {
    const frame = parseFrame(data);
    const fault = verifyChecksums(data, 0, data.length);
    if (frame.error || data.length !== originalLength)
      problems.push(`${pod} packet ${number}: ${frame.error ?? 'cut'}`);
    if (fault) problems.push(`${pod} packet ${number}: wrong ${fault} checksum`);
    if (frame.tcp)
      problems.push(...follow(conversations, pod, frame).map((what) => `${pod} packet ${number}: ${what}`));
    if (frame.tcp?.srcPort === 80) answeredBy.add(pod);
  }
  for (const [client, directions] of conversations) {
    if (directions.length !== 2 || directions.some((one) => !one.ended))
      problems.push(`${client}: not a whole connection`);
  }
  if (answeredBy.size !== 2) problems.push(`answered by ${[...answeredBy].join() || 'nobody'}: record again`);
  return problems;
}

/** What one end of a connection has sent. */
interface Direction {
  pod: string;
  nextSeq: number;
  ended: boolean;
}

/** The client's address and port name a connection: they are the same before and after service translation. */
function follow(conversations: Map<string, Direction[]>, pod: string, { ipv4, tcp, payload }: ParsedFrame): string[] {
  if (!ipv4 || !tcp) return [];
  const client = tcp.dstPort === 80 ? `${ipv4.src}:${tcp.srcPort}` : `${ipv4.dst}:${tcp.dstPort}`;
  const directions = conversations.get(client) ?? [];
  conversations.set(client, directions);
  let mine = directions.find((one) => one.pod === pod);
  if (!mine) {
    mine = { pod, nextSeq: tcp.seq, ended: false };
    directions.push(mine);
    if (!(tcp.flags & TCP_SYN)) return ['a connection that does not begin with SYN'];
  }
  if (tcp.flags & TCP_RST) return ['a reset'];
  if (tcp.seq !== mine.nextSeq) return ['sent twice, or not in order'];
  const control = (tcp.flags & TCP_SYN ? 1 : 0) + (tcp.flags & TCP_FIN ? 1 : 0);
  mine.nextSeq = (mine.nextSeq + payload.length + control) >>> 0;
  mine.ended ||= (tcp.flags & TCP_FIN) !== 0;
  return tcp.flags & (TCP_SYN | TCP_ACK) ? [] : ['neither SYN nor ACK'];
}

function write(path: string, sent: Sent[]): void {
  using out = new PcapngWriter(path, {
    comment:
      'The Death Star demo, recorded without any policy: real curl, nginx and dnsmasq, each pod a network namespace. ' +
      'An interface holds what its pod sent, taken on the host end of the veth by tcpdump -Q in, ' +
      'before any address was translated. See capture/README.md.',
    os: 'Linux',
    application: 'examples/deathstar/capture/merge.ts',
  });
  const ids = new Map<string, number>();
  for (const pod of [...new Set(sent.map((packet) => packet.pod))].sort()) {
    ids.set(pod, out.addInterface({ name: pod, description: `what pod ${pod} sent` }));
  }
  for (const { pod, timestampNs, data } of sent) out.write({ interfaceId: ids.get(pod)!, timestampNs, data });
}
