import type { CapturedPacket, OnInterface } from './capture.ts';
import type { ChunkReader } from './chunks.ts';
import { CaptureFile } from './file.ts';
import { LINKTYPE_ETHERNET, refusedLinkType } from './linktype.ts';

// Source: draft-ietf-opsawg-pcap, sections 4 (file header) and 5 (packet record); numbers are byte offsets.
const FILE_HEADER = { size: 24, magic: 0, major: 4, minor: 6, snapLength: 16, linkType: 20 } as const;
const RECORD = { size: 16, seconds: 0, fraction: 4, captured: 8, original: 12 } as const;
const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const MAGIC_NANOSECONDS = 0xa1b23c4d;
const LINKTYPE_MASK = 0xffff; // the upper half says whether and how long frame check sequences are

/** libpcap's MAXIMUM_SNAPLEN. A longer record is a broken length field. */
export const MAX_PACKET_BYTES = 262_144;

/** @param start the first four bytes of a file */
export function isPcap(start: Uint8Array): boolean {
  return start.length === 4 && readMagic(new DataView(start.buffer, start.byteOffset, 4), 0) !== undefined;
}

function readMagic(view: DataView, at: number): { little: boolean; nsPerUnit: bigint } | undefined {
  for (const little of [true, false]) {
    const magic = view.getUint32(at + FILE_HEADER.magic, little);
    if (magic === MAGIC_MICROSECONDS) return { little, nsPerUnit: 1000n };
    if (magic === MAGIC_NANOSECONDS) return { little, nsPerUnit: 1n };
  }
  return undefined;
}

/** @param reader at the start of a file that `isPcap` */
export function* readPcap(reader: ChunkReader, onInterface: OnInterface): Generator<CapturedPacket> {
  reader.need(FILE_HEADER.size, 'pcap file header', 0);
  const { little, nsPerUnit } = readMagic(reader.view, 0)!;
  const major = reader.view.getUint16(FILE_HEADER.major, little);
  const minor = reader.view.getUint16(FILE_HEADER.minor, little);
  if (major !== 2) reader.fail(`pcap version ${major}.${minor}: only 2.x can be read`, FILE_HEADER.major);
  const linkType = reader.view.getUint32(FILE_HEADER.linkType, little) & LINKTYPE_MASK;
  const refused = refusedLinkType(linkType);
  if (refused) reader.fail(refused, FILE_HEADER.linkType);
  const snapLength = reader.view.getUint32(FILE_HEADER.snapLength, little);
  onInterface(0, { name: undefined, description: undefined, linkType, snapLength });
  reader.at += FILE_HEADER.size;

  for (let number = 1; reader.fill(1) > 0; number++) {
    const from = reader.position;
    reader.need(RECORD.size, `header of packet ${number}`, from);
    const seconds = reader.view.getUint32(reader.at + RECORD.seconds, little);
    const fraction = reader.view.getUint32(reader.at + RECORD.fraction, little);
    const captured = reader.view.getUint32(reader.at + RECORD.captured, little);
    const originalLength = reader.view.getUint32(reader.at + RECORD.original, little);
    if (captured > MAX_PACKET_BYTES) {
      reader.fail(`packet ${number} at byte ${from}: says it has ${captured} bytes, the most is 262144`, from);
    }
    reader.at += RECORD.size;
    reader.need(captured, `packet ${number}`, from);
    const data = reader.bytes.slice(reader.at, reader.at + captured);
    reader.at += captured;
    const timestampNs = BigInt(seconds) * 1_000_000_000n + BigInt(fraction) * nsPerUnit;
    yield { number, interfaceId: 0, timestampNs, originalLength, data, comment: undefined };
  }
}

/** What a pcap file can keep of a packet. */
export interface PcapPacket {
  timestampNs: bigint;
  data: Uint8Array;
  originalLength?: number; // default data.length
}

/**
 * Write a pcap file: little-endian, nanoseconds, Ethernet.
 * @throws CaptureError if the file cannot be written
 * @throws RangeError for a time outside 1970..2106 or a packet longer than 262144 bytes
 */
export function writePcap(path: string, packets: Iterable<PcapPacket>): void {
  using file = new CaptureFile(path);
  const header = new DataView(new ArrayBuffer(FILE_HEADER.size));
  header.setUint32(FILE_HEADER.magic, MAGIC_NANOSECONDS, true);
  header.setUint16(FILE_HEADER.major, 2, true);
  header.setUint16(FILE_HEADER.minor, 4, true);
  header.setUint32(FILE_HEADER.snapLength, MAX_PACKET_BYTES, true);
  header.setUint32(FILE_HEADER.linkType, LINKTYPE_ETHERNET, true);
  file.write(header);
  for (const { timestampNs, data, originalLength = data.length } of packets) {
    const seconds = timestampNs / 1_000_000_000n;
    if (timestampNs < 0n || seconds > 0xffff_ffffn) throw new RangeError(`time ${timestampNs} ns: not in 1970..2106`);
    if (data.length > MAX_PACKET_BYTES) throw new RangeError(`a packet of ${data.length} bytes: the most is 262144`);
    const record = new DataView(new ArrayBuffer(RECORD.size));
    record.setUint32(RECORD.seconds, Number(seconds), true);
    record.setUint32(RECORD.fraction, Number(timestampNs % 1_000_000_000n), true);
    record.setUint32(RECORD.captured, data.length, true);
    record.setUint32(RECORD.original, originalLength, true);
    file.write(record);
    file.write(data);
  }
}
