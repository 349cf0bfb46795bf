import type { CapturedPacket, CaptureInterface, OnInterface } from './capture.ts';
import type { ChunkReader } from './chunks.ts';
import { refusedLinkType } from './linktype.ts';
import { MAX_PACKET_BYTES } from './pcap.ts';
import {
  BLOCK,
  BYTE_ORDER_MAGIC,
  ENHANCED_PACKET,
  INTERFACE,
  INTERFACE_DESCRIPTION,
  INTERFACE_NAME,
  INTERFACE_TIME_OFFSET,
  INTERFACE_TIME_RESOLUTION,
  OLD_PACKET_TYPE,
  OPT_COMMENT,
  OPT_END,
  OPTION_HEADER_BYTES,
  padded,
  SECTION,
  SIMPLE_PACKET,
} from './pcapng-format.ts';

/** Blocks are read whole; Wireshark's limit too. */
const MAX_BLOCK_BYTES = 16 * 1024 * 1024;
const NS_PER_SECOND = 1_000_000_000n;
const PACKET_TYPES: ReadonlySet<number> = new Set([ENHANCED_PACKET.type, SIMPLE_PACKET.type, OLD_PACKET_TYPE]);

/** A block wholly in the reader's buffer. */
interface Block {
  type: number;
  view: DataView; // of the block alone, without its trailing length
  from: number; // byte offset in the file
  little: boolean; // the section's byte order
  number: number; // of the packet in it; valid only in packet blocks
}

/** What a section has declared so far. Interface ids in the file count from 0 in each section. */
interface Section {
  firstInterface: number;
  interfaces: DeclaredInterface[];
}

interface DeclaredInterface extends CaptureInterface {
  unitsPerSecond: bigint;
  offsetNs: bigint;
}

/** @param start the first four bytes of a file */
export function isPcapng(start: Uint8Array): boolean {
  return start.length === 4 && new DataView(start.buffer, start.byteOffset, 4).getUint32(0) === SECTION.type;
}

/** @param reader at the start of a file that `isPcapng`. Blocks that carry no packets are skipped. */
export function* readPcapng(reader: ChunkReader, onInterface: OnInterface): Generator<CapturedPacket> {
  let section: Section = { firstInterface: 0, interfaces: [] };
  for (const block of readBlocks(reader)) {
    switch (block.type) {
      case SECTION.type:
        section = { firstInterface: section.firstInterface + section.interfaces.length, interfaces: [] };
        break;
      case INTERFACE.type: {
        const found = readInterface(reader, block);
        section.interfaces.push(found);
        const { name, description, linkType, snapLength } = found;
        const index = section.firstInterface + section.interfaces.length - 1;
        onInterface(index, { name, description, linkType, snapLength });
        break;
      }
      case ENHANCED_PACKET.type:
      case OLD_PACKET_TYPE:
        yield readPacket(reader, block, section);
        break;
      case SIMPLE_PACKET.type:
        yield readSimplePacket(reader, block, section);
        break;
    }
  }
}

function* readBlocks(reader: ChunkReader): Generator<Block> {
  let little = true; // of no consequence: the first block is a section header, which says
  let packets = 0;
  while (reader.fill(1) > 0) {
    const from = reader.position;
    reader.need(BLOCK.minSize, 'block', from);
    const type = reader.view.getUint32(reader.at + BLOCK.type, little);
    if (type === SECTION.type) little = readByteOrder(reader, from); // this type reads the same in both orders
    const length = reader.view.getUint32(reader.at + BLOCK.length, little);
    if (length < BLOCK.minSize || length % 4 !== 0 || length > MAX_BLOCK_BYTES) {
      reader.fail(`block at byte ${from}: its length cannot be ${length}`, from);
    }
    if (PACKET_TYPES.has(type)) packets++;
    reader.need(length, PACKET_TYPES.has(type) ? `packet ${packets}` : 'block', from);
    const trailing = reader.view.getUint32(reader.at + length - BLOCK.trailer, little);
    if (trailing !== length) {
      reader.fail(`block at byte ${from}: its length is ${length} at its start and ${trailing} at its end`, from);
    }
    const view = new DataView(reader.bytes.buffer, reader.at, length - BLOCK.trailer);
    if (type === SECTION.type) checkSection(reader, view, from, little);
    yield { type, view, from, little, number: packets };
    reader.at += length;
  }
}

function readByteOrder(reader: ChunkReader, from: number): boolean {
  const magic = reader.view.getUint32(reader.at + SECTION.byteOrder, true);
  if (magic === BYTE_ORDER_MAGIC) return true;
  if (reader.view.getUint32(reader.at + SECTION.byteOrder, false) === BYTE_ORDER_MAGIC) return false;
  return reader.fail(`section header at byte ${from}: no byte-order magic`, from);
}

function checkSection(reader: ChunkReader, view: DataView, from: number, little: boolean): void {
  if (view.byteLength < SECTION.options) reader.fail(`section header at byte ${from}: too short`, from);
  const major = view.getUint16(SECTION.major, little);
  const minor = view.getUint16(SECTION.minor, little);
  if (major !== 1) reader.fail(`section header at byte ${from}: pcapng version ${major}.${minor}, not 1.x`, from);
}

function readInterface(reader: ChunkReader, { view, from, little }: Block): DeclaredInterface {
  if (view.byteLength < INTERFACE.options) reader.fail(`interface block at byte ${from}: too short`, from);
  const linkType = view.getUint16(INTERFACE.linkType, little);
  const refused = refusedLinkType(linkType);
  if (refused) reader.fail(`interface at byte ${from}: ${refused}`, from);
  const found: DeclaredInterface = {
    name: undefined,
    description: undefined,
    linkType,
    snapLength: view.getUint32(INTERFACE.snapLength, little),
    unitsPerSecond: 1_000_000n,
    offsetNs: 0n,
  };
  for (const { code, value } of readOptions(reader, { view, from, little }, INTERFACE.options)) {
    if (code === INTERFACE_NAME) found.name = text(value);
    else if (code === INTERFACE_DESCRIPTION) found.description = text(value);
    else if (code === INTERFACE_TIME_RESOLUTION && value.byteLength >= 1) {
      const resolution = value.getUint8(0); // high bit: a power of 2, not of 10
      found.unitsPerSecond = resolution & 0x80 ? 2n ** BigInt(resolution & 0x7f) : 10n ** BigInt(resolution);
    } else if (code === INTERFACE_TIME_OFFSET && value.byteLength >= 8) {
      found.offsetNs = value.getBigInt64(0, little) * NS_PER_SECOND;
    }
  }
  return found;
}

function readPacket(reader: ChunkReader, block: Block, section: Section): CapturedPacket {
  const { type, view, from, little, number } = block;
  if (view.byteLength < ENHANCED_PACKET.data) reader.fail(`packet ${number} at byte ${from}: block too short`, from);
  const id =
    type === OLD_PACKET_TYPE
      ? view.getUint16(ENHANCED_PACKET.interfaceId, little)
      : view.getUint32(ENHANCED_PACKET.interfaceId, little);
  const source = interfaceOf(reader, block, section, id);
  const high = view.getUint32(ENHANCED_PACKET.timeHigh, little);
  const units = (BigInt(high) << 32n) | BigInt(view.getUint32(ENHANCED_PACKET.timeLow, little));
  const captured = view.getUint32(ENHANCED_PACKET.captured, little);
  const data = readData(reader, block, ENHANCED_PACKET.data, captured);
  const comments: string[] = [];
  for (const { code, value } of readOptions(reader, block, ENHANCED_PACKET.data + padded(captured))) {
    if (code === OPT_COMMENT) comments.push(text(value));
  }
  return {
    number,
    interfaceId: section.firstInterface + id,
    timestampNs: source.offsetNs + (units * NS_PER_SECOND) / source.unitsPerSecond,
    originalLength: view.getUint32(ENHANCED_PACKET.original, little),
    data,
    comment: comments.length === 0 ? undefined : comments.join('\n'),
  };
}

/** Always of the section's first interface, without a time; cut at that interface's snap length. */
function readSimplePacket(reader: ChunkReader, block: Block, section: Section): CapturedPacket {
  const { view, from, little, number } = block;
  if (view.byteLength < SIMPLE_PACKET.data) reader.fail(`packet ${number} at byte ${from}: block too short`, from);
  const { snapLength } = interfaceOf(reader, block, section, 0);
  const originalLength = view.getUint32(SIMPLE_PACKET.original, little);
  const captured = snapLength === 0 ? originalLength : Math.min(originalLength, snapLength);
  const data = readData(reader, block, SIMPLE_PACKET.data, captured);
  return {
    number,
    interfaceId: section.firstInterface,
    timestampNs: 0n,
    originalLength,
    data,
    comment: undefined,
  };
}

function interfaceOf(reader: ChunkReader, { from, number }: Block, section: Section, id: number): DeclaredInterface {
  const declared = section.interfaces[id];
  if (declared) return declared;
  const there = section.interfaces.length;
  return reader.fail(`packet ${number} at byte ${from}: interface ${id}, but the section has declared ${there}`, from);
}

function readData(reader: ChunkReader, block: Block, at: number, length: number): Uint8Array {
  const { view, from, number } = block;
  const left = view.byteLength - at;
  if (length > MAX_PACKET_BYTES) {
    reader.fail(`packet ${number} at byte ${from}: says it has ${length} bytes, the most is 262144`, from);
  }
  if (length > left) {
    reader.fail(`packet ${number} at byte ${from}: wants ${length} bytes, its block has ${left}`, from);
  }
  return new Uint8Array(view.buffer, view.byteOffset + at, length).slice();
}

function* readOptions(
  reader: ChunkReader,
  { view, from, little }: Pick<Block, 'view' | 'from' | 'little'>,
  start: number,
): Generator<{ code: number; value: DataView }> {
  for (let at = start; at + OPTION_HEADER_BYTES <= view.byteLength; ) {
    const code = view.getUint16(at, little);
    const length = view.getUint16(at + 2, little);
    if (code === OPT_END) return;
    at += OPTION_HEADER_BYTES;
    const left = view.byteLength - at;
    if (length > left) reader.fail(`block at byte ${from}: option ${code} wants ${length} bytes, ${left} left`, from);
    yield { code, value: new DataView(view.buffer, view.byteOffset + at, length) };
    at += padded(length);
  }
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true }); // a byte-order mark is kept as any other character
const text = (value: DataView): string => utf8.decode(value);
