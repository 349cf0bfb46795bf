import { CaptureFile } from './file.ts';
import { LINKTYPE_ETHERNET } from './linktype.ts';
import { MAX_PACKET_BYTES } from './pcap.ts';
import {
  BLOCK,
  BYTE_ORDER_MAGIC,
  ENHANCED_PACKET,
  INTERFACE,
  INTERFACE_DESCRIPTION,
  INTERFACE_NAME,
  INTERFACE_TIME_RESOLUTION,
  OPT_COMMENT,
  OPT_END,
  OPTION_HEADER_BYTES,
  padded,
  SECTION,
  SECTION_APPLICATION,
  SECTION_OS,
} from './pcapng-format.ts';

/** Said once, at the head of the file. */
export interface PcapngSection {
  comment?: string;
  os?: string;
  application?: string; // the program that wrote the file
}

export interface PcapngInterface {
  name: string;
  description?: string;
  snapLength?: number; // default 0: no limit
}

export interface PcapngPacket {
  interfaceId: number; // what addInterface returned
  timestampNs: bigint;
  data: Uint8Array;
  originalLength?: number; // default data.length
  comment?: string | undefined;
}

const NANOSECONDS = Uint8Array.of(9); // if_tsresol: 10^-9
const UNKNOWN_SECTION_LENGTH = 0xffff_ffff_ffff_ffffn;

/**
 * Write a pcapng file: one little-endian section, Ethernet, nanoseconds. Disposing it finishes the file.
 *
 *     using out = new PcapngWriter('demo.pcapng');
 *     const pod = out.addInterface({ name: 'default/xwing' });
 *     out.write({ interfaceId: pod, timestampNs: 0n, data: frame, comment: 'denied' });
 *
 * Every method @throws CaptureError if the file cannot be written, RangeError if a value does not fit its field.
 */
export class PcapngWriter {
  readonly #file: CaptureFile;
  #interfaces = 0;

  constructor(path: string, section: PcapngSection = {}) {
    const options = encodeOptions([
      [OPT_COMMENT, section.comment],
      [SECTION_OS, section.os],
      [SECTION_APPLICATION, section.application],
    ]);
    const block = newBlock(SECTION.type, SECTION.options, options);
    block.setUint32(SECTION.byteOrder, BYTE_ORDER_MAGIC, true);
    block.setUint16(SECTION.major, 1, true);
    block.setBigUint64(SECTION.length, UNKNOWN_SECTION_LENGTH, true);
    this.#file = new CaptureFile(path);
    this.#file.write(block);
  }

  /** @returns the interface's id, from 0 on */
  addInterface({ name, description, snapLength = 0 }: PcapngInterface): number {
    const options = encodeOptions([
      [INTERFACE_NAME, name],
      [INTERFACE_DESCRIPTION, description],
      [INTERFACE_TIME_RESOLUTION, NANOSECONDS],
    ]);
    const block = newBlock(INTERFACE.type, INTERFACE.options, options);
    block.setUint16(INTERFACE.linkType, LINKTYPE_ETHERNET, true);
    block.setUint32(INTERFACE.snapLength, snapLength, true);
    this.#file.write(block);
    return this.#interfaces++;
  }

  write({ interfaceId, timestampNs, data, originalLength = data.length, comment }: PcapngPacket): void {
    if (interfaceId >= this.#interfaces) throw new RangeError(`interface ${interfaceId} has not been added`);
    if (timestampNs < 0n || timestampNs >= 2n ** 64n) throw new RangeError(`time ${timestampNs} ns: not in 64 bits`);
    if (data.length > MAX_PACKET_BYTES) throw new RangeError(`a packet of ${data.length} bytes: the most is 262144`);
    const optionsAt = ENHANCED_PACKET.data + padded(data.length);
    const block = newBlock(ENHANCED_PACKET.type, optionsAt, encodeOptions([[OPT_COMMENT, comment]]));
    block.setUint32(ENHANCED_PACKET.interfaceId, interfaceId, true);
    block.setUint32(ENHANCED_PACKET.timeHigh, Number(timestampNs >> 32n), true);
    block.setUint32(ENHANCED_PACKET.timeLow, Number(timestampNs & 0xffff_ffffn), true);
    block.setUint32(ENHANCED_PACKET.captured, data.length, true);
    block.setUint32(ENHANCED_PACKET.original, originalLength, true);
    new Uint8Array(block.buffer).set(data, ENHANCED_PACKET.data);
    this.#file.write(block);
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}

/** A block with both of its lengths, its type and its options in place. */
function newBlock(type: number, optionsAt: number, options: Uint8Array): DataView {
  const length = optionsAt + options.length + BLOCK.trailer;
  const bytes = new Uint8Array(length);
  bytes.set(options, optionsAt);
  const block = new DataView(bytes.buffer);
  block.setUint32(BLOCK.type, type, true);
  block.setUint32(BLOCK.length, length, true);
  block.setUint32(length - BLOCK.trailer, length, true);
  return block;
}

const utf8 = new TextEncoder();

function encodeOptions(options: [code: number, value: string | Uint8Array | undefined][]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [code, value] of options) {
    if (value === undefined) continue;
    const bytes = typeof value === 'string' ? utf8.encode(value) : value;
    if (bytes.length > 0xffff) throw new RangeError(`an option of ${bytes.length} bytes: the most is 65535`);
    parts.push(encodeOption(code, bytes));
  }
  if (parts.length > 0) parts.push(encodeOption(OPT_END, new Uint8Array(0)));
  return Buffer.concat(parts);
}

function encodeOption(code: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(OPTION_HEADER_BYTES + padded(value.length));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, code, true);
  view.setUint16(2, value.length, true);
  bytes.set(value, OPTION_HEADER_BYTES);
  return bytes;
}
