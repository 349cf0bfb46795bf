import type { ChunkReader } from './chunks.ts';
import { type OnInterface, PacketCursor } from './cursor.ts';
import { MAX_PACKET_BYTES } from './pcap.ts';
import {
  type Block,
  checkSection,
  type DeclaredInterface,
  readByteOrder,
  readInterface,
  readOptions,
  text,
} from './pcapng-blocks.ts';
import {
  BLOCK,
  ENHANCED_PACKET,
  INTERFACE,
  OLD_PACKET_TYPE,
  OPT_COMMENT,
  padded,
  SECTION,
  SIMPLE_PACKET,
} from './pcapng-format.ts';

/** Blocks are read whole; Wireshark's limit too. */
const MAX_BLOCK_BYTES = 16 * 1024 * 1024;
const NS_PER_SECOND = 1_000_000_000n;
/** What a section has declared so far. Interface ids in the file count from 0 in each section. */
interface Section {
  firstInterface: number;
  interfaces: DeclaredInterface[];
}

/** @param start the first four bytes of a file */
export function isPcapng(start: Uint8Array): boolean {
  return start.length === 4 && new DataView(start.buffer, start.byteOffset, 4).getUint32(0) === SECTION.type;
}

/** The packets of a pcapng file. Blocks that carry none are skipped. */
export class PcapngCursor extends PacketCursor {
  readonly #onInterface: OnInterface;
  #little = true; // of no consequence: the first block is a section header, which says
  #section: Section = { firstInterface: 0, interfaces: [] };
  /** Where the packet's options begin and end in the buffer; 0 where it can have none. */
  #optionsAt = 0;
  #optionsEnd = 0;
  #from = 0;

  /** @param reader at the start of a file that `isPcapng` */
  constructor(reader: ChunkReader, onInterface: OnInterface) {
    super(reader);
    this.#onInterface = onInterface;
  }

  override next(): boolean {
    const { reader } = this;
    for (;;) {
      if (reader.left === 0 && reader.fill(1) === 0) return false;
      if (this.#block(true)) return true;
    }
  }

  override nextInBuffer(): boolean {
    const { reader } = this;
    for (;;) {
      if (reader.left < BLOCK.minSize) return false;
      if (reader.left < reader.view.getUint32(reader.at + BLOCK.length, this.#little)) return false;
      // The length of a section header in the other byte order was nonsense; `next` reads it right.
      if (reader.view.getUint32(reader.at + BLOCK.type, true) === SECTION.type) return false;
      if (this.#block(false)) return true;
    }
  }

  override skipTo(position: number): void {
    while (this.reader.position < position) this.#block(true);
  }

  /** Goes behind one block. @returns whether it was a packet */
  #block(mayRead: boolean): boolean {
    const { reader } = this;
    const from = reader.position;
    if (mayRead && reader.left < BLOCK.minSize) reader.need(BLOCK.minSize, 'block', from);
    const type = reader.view.getUint32(reader.at + BLOCK.type, this.#little);
    if (type === SECTION.type) this.#little = readByteOrder(reader, from); // this type reads the same in both orders
    const little = this.#little;
    const length = reader.view.getUint32(reader.at + BLOCK.length, little);
    if (length < BLOCK.minSize || length % 4 !== 0 || length > MAX_BLOCK_BYTES) {
      reader.fail(`block at byte ${from}: its length cannot be ${length}`, from);
    }
    const isPacket = type === ENHANCED_PACKET.type || type === SIMPLE_PACKET.type || type === OLD_PACKET_TYPE;
    if (isPacket) this.number++;
    if (reader.left < length) reader.need(length, isPacket ? `packet ${this.number}` : 'block', from);
    const { view, at } = reader;
    const trailing = view.getUint32(at + length - BLOCK.trailer, little);
    if (trailing !== length) {
      reader.fail(`block at byte ${from}: its length is ${length} at its start and ${trailing} at its end`, from);
    }
    reader.at += length;
    if (isPacket) {
      this.#from = from;
      if (type === SIMPLE_PACKET.type) this.#simplePacket(view, at, length - BLOCK.trailer);
      else this.#packet(view, at, length - BLOCK.trailer, type);
      return true;
    }
    if (type === SECTION.type) {
      checkSection(reader, new DataView(view.buffer, view.byteOffset + at, length - BLOCK.trailer), from, little);
      const { firstInterface, interfaces } = this.#section;
      this.#section = { firstInterface: firstInterface + interfaces.length, interfaces: [] };
      this.declared++;
    } else if (type === INTERFACE.type) {
      this.#interface({ view: new DataView(view.buffer, view.byteOffset + at, length - BLOCK.trailer), from, little });
    }
    return false;
  }

  #interface(block: Block): void {
    const found = readInterface(this.reader, block);
    const { firstInterface, interfaces } = this.#section;
    interfaces.push(found);
    this.declared++;
    const { name, description, linkType, snapLength } = found;
    this.#onInterface(firstInterface + interfaces.length - 1, { name, description, linkType, snapLength });
  }

  /** @param end bytes of the block without its trailing length */
  #packet(view: DataView, at: number, end: number, type: number): void {
    const little = this.#little;
    if (end < ENHANCED_PACKET.data) this.#fail('block too short');
    const id =
      type === OLD_PACKET_TYPE
        ? view.getUint16(at + ENHANCED_PACKET.interfaceId, little)
        : view.getUint32(at + ENHANCED_PACKET.interfaceId, little);
    const source = this.#interfaceOf(id);
    this.#setTime(
      view.getUint32(at + ENHANCED_PACKET.timeHigh, little),
      view.getUint32(at + ENHANCED_PACKET.timeLow, little),
      source,
    );
    const captured = view.getUint32(at + ENHANCED_PACKET.captured, little);
    this.#setData(at + ENHANCED_PACKET.data, captured, end - ENHANCED_PACKET.data);
    this.originalLength = view.getUint32(at + ENHANCED_PACKET.original, little);
    this.#optionsAt = at + ENHANCED_PACKET.data + padded(captured);
    this.#optionsEnd = at + end;
  }

  /** Always of the section's first interface, without a time; cut at that interface's snap length. */
  #simplePacket(view: DataView, at: number, end: number): void {
    const { snapLength } = this.#interfaceOf(0);
    this.originalLength = view.getUint32(at + SIMPLE_PACKET.original, this.#little);
    const captured = snapLength === 0 ? this.originalLength : Math.min(this.originalLength, snapLength);
    this.#setData(at + SIMPLE_PACKET.data, captured, end - SIMPLE_PACKET.data);
    this.seconds = 0;
    this.nanoseconds = 0;
    this.#optionsAt = this.#optionsEnd = 0;
  }

  #interfaceOf(id: number): DeclaredInterface {
    const { firstInterface, interfaces } = this.#section;
    const declared = interfaces[id];
    if (declared === undefined) this.#fail(`interface ${id}, but the section has declared ${interfaces.length}`);
    this.interfaceId = firstInterface + id;
    return declared!;
  }

  #setData(at: number, length: number, left: number): void {
    if (length > MAX_PACKET_BYTES) this.#fail(`says it has ${length} bytes, the most is 262144`);
    if (length > left) this.#fail(`wants ${length} bytes, its block has ${left}`);
    this.at = at;
    this.length = length;
  }

  /** A count of units, in two words: divided by hand, since it has more bits than a number holds exactly. */
  #setTime(high: number, low: number, { unit, unitsPerSecond, offsetSeconds }: DeclaredInterface): void {
    if (unit === 0) {
      const units = (BigInt(high) << 32n) | BigInt(low);
      this.seconds = offsetSeconds + Number(units / unitsPerSecond);
      this.nanoseconds = Number(((units % unitsPerSecond) * NS_PER_SECOND) / unitsPerSecond);
      return;
    }
    const middle = (high % unit) * 2 ** 16 + (low >>> 16);
    const rest = (middle % unit) * 2 ** 16 + (low & 0xffff);
    this.seconds =
      offsetSeconds + Math.floor(high / unit) * 2 ** 32 + Math.floor(middle / unit) * 2 ** 16 + Math.floor(rest / unit);
    this.nanoseconds = (rest % unit) * (1e9 / unit);
  }

  override get comment(): string | undefined {
    const length = this.#optionsEnd - this.#optionsAt;
    if (length <= 0) return undefined;
    const { buffer, byteOffset } = this.reader.view;
    const view = new DataView(buffer, byteOffset + this.#optionsAt, length);
    const comments: string[] = [];
    for (const { code, value } of readOptions(this.reader, { view, from: this.#from, little: this.#little }, 0))
      if (code === OPT_COMMENT) comments.push(text(value));
    return comments.length === 0 ? undefined : comments.join('\n');
  }

  #fail(problem: string): never {
    return this.reader.fail(`packet ${this.number} at byte ${this.#from}: ${problem}`, this.#from);
  }
}
