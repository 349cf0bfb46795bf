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
    if (timestampNs < 0n || timestampNs >= 2n ** 64n) throw new RangeError(`time ${timestampNs} ns: not in 64 bits`);
    const high = Number(timestampNs >> 32n);
    const low = Number(timestampNs & 0xffff_ffffn);
    this.#put(interfaceId, high, low, data, 0, data.length, originalLength, encodeComment(comment));
  }

  /**
   * As `write`, for many packets: nothing but a copy of the bytes is made.
   * @param seconds of 1970..2106, with the nanoseconds of that second
   * @param bytes the packet is `length` of them from `at` on
   * @param comment as `encodeComment` gives it
   */
  writeFrom(
    interfaceId: number,
    seconds: number,
    nanoseconds: number,
    bytes: Uint8Array,
    at: number,
    length: number,
    originalLength: number,
    comment: Uint8Array = NO_OPTIONS,
  ): void {
    // seconds * 10^9 has more bits than a number holds exactly: in two pieces of the seconds' halves.
    const upper = Math.floor(seconds / 2 ** 16) * 1e9;
    const lower = (seconds % 2 ** 16) * 1e9 + nanoseconds + (upper % 2 ** 16) * 2 ** 16;
    const high = Math.floor(upper / 2 ** 16) + Math.floor(lower / 2 ** 32);
    this.#put(interfaceId, high, lower % 2 ** 32, bytes, at, length, originalLength, comment);
  }

  #put(
    interfaceId: number,
    timeHigh: number,
    timeLow: number,
    bytes: Uint8Array,
    from: number,
    length: number,
    originalLength: number,
    options: Uint8Array,
  ): void {
    if (interfaceId >= this.#interfaces) throw new RangeError(`interface ${interfaceId} has not been added`);
    if (length > MAX_PACKET_BYTES) throw new RangeError(`a packet of ${length} bytes: the most is 262144`);
    const optionsAt = ENHANCED_PACKET.data + padded(length);
    const total = optionsAt + options.length + BLOCK.trailer;
    const place = this.#file.take(total);
    const at = Math.max(0, place);
    const target = place < 0 ? new Uint8Array(total) : this.#file.bytes;
    const view = place < 0 ? new DataView(target.buffer) : this.#file.view;
    view.setUint32(at + BLOCK.type, ENHANCED_PACKET.type, true);
    view.setUint32(at + BLOCK.length, total, true);
    view.setUint32(at + ENHANCED_PACKET.interfaceId, interfaceId, true);
    view.setUint32(at + ENHANCED_PACKET.timeHigh, timeHigh, true);
    view.setUint32(at + ENHANCED_PACKET.timeLow, timeLow, true);
    view.setUint32(at + ENHANCED_PACKET.captured, length, true);
    view.setUint32(at + ENHANCED_PACKET.original, originalLength, true);
    target.set(length === bytes.length ? bytes : bytes.subarray(from, from + length), at + ENHANCED_PACKET.data);
    for (let i = ENHANCED_PACKET.data + length; i < optionsAt; i++) target[at + i] = 0;
    target.set(options, at + optionsAt);
    view.setUint32(at + total - BLOCK.trailer, total, true);
    if (place < 0) this.#file.write(target);
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}

const NO_OPTIONS = new Uint8Array(0);

/** A packet's comment as it stands in the file; to be made once for packets that have the same. @throws RangeError beyond 65535 bytes */
export const encodeComment = (comment: string | undefined): Uint8Array =>
  comment === undefined ? NO_OPTIONS : encodeOptions([[OPT_COMMENT, comment]]);

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
