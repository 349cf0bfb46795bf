import type { ChunkReader } from './chunks.ts';
import { type OnInterface, PacketCursor } from './cursor.ts';
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

function readMagic(view: DataView, at: number): { little: boolean; nsPerUnit: number } | undefined {
  for (const little of [true, false]) {
    const magic = view.getUint32(at + FILE_HEADER.magic, little);
    if (magic === MAGIC_MICROSECONDS) return { little, nsPerUnit: 1000 };
    if (magic === MAGIC_NANOSECONDS) return { little, nsPerUnit: 1 };
  }
  return undefined;
}

/** The packets of a pcap file. */
export class PcapCursor extends PacketCursor {
  readonly #little: boolean;
  readonly #nsPerUnit: number;

  /** @param reader at the start of a file that `isPcap` */
  constructor(reader: ChunkReader, onInterface: OnInterface) {
    super(reader);
    reader.need(FILE_HEADER.size, 'pcap file header', 0);
    const { little, nsPerUnit } = readMagic(reader.view, 0)!;
    this.#little = little;
    this.#nsPerUnit = nsPerUnit;
    const major = reader.view.getUint16(FILE_HEADER.major, little);
    const minor = reader.view.getUint16(FILE_HEADER.minor, little);
    if (major !== 2) reader.fail(`pcap version ${major}.${minor}: only 2.x can be read`, FILE_HEADER.major);
    const linkType = reader.view.getUint32(FILE_HEADER.linkType, little) & LINKTYPE_MASK;
    const refused = refusedLinkType(linkType);
    if (refused) reader.fail(refused, FILE_HEADER.linkType);
    const snapLength = reader.view.getUint32(FILE_HEADER.snapLength, little);
    onInterface(0, { name: undefined, description: undefined, linkType, snapLength });
    reader.at += FILE_HEADER.size;
  }

  override next(): boolean {
    const { reader } = this;
    if (reader.left < RECORD.size) {
      if (reader.fill(1) === 0) return false;
      reader.need(RECORD.size, `header of packet ${this.number + 1}`, reader.position);
    }
    const { view, at } = reader;
    const little = this.#little;
    const from = reader.position;
    const captured = view.getUint32(at + RECORD.captured, little);
    this.number++;
    this.seconds = view.getUint32(at + RECORD.seconds, little);
    this.nanoseconds = view.getUint32(at + RECORD.fraction, little) * this.#nsPerUnit;
    this.length = captured;
    this.originalLength = view.getUint32(at + RECORD.original, little);
    if (captured > MAX_PACKET_BYTES) {
      reader.fail(`packet ${this.number} at byte ${from}: says it has ${captured} bytes, the most is 262144`, from);
    }
    reader.at += RECORD.size;
    if (reader.left < captured) reader.need(captured, `packet ${this.number}`, from);
    this.at = reader.at;
    reader.at += captured;
    return true;
  }

  override nextInBuffer(): boolean {
    const { left, view, at } = this.reader;
    if (left < RECORD.size) return false;
    return left >= RECORD.size + view.getUint32(at + RECORD.captured, this.#little) && this.next();
  }

  override skipTo(position: number): void {
    this.reader.seek(position, this.reader.bytes);
  }

  override get comment(): undefined {
    return undefined;
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
