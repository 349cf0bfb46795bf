import type { ChunkReader } from './chunks.ts';
import type { CaptureInterface } from './cursor.ts';
import { refusedLinkType } from './linktype.ts';
import {
  BYTE_ORDER_MAGIC,
  INTERFACE,
  INTERFACE_DESCRIPTION,
  INTERFACE_NAME,
  INTERFACE_TIME_OFFSET,
  INTERFACE_TIME_RESOLUTION,
  OPT_END,
  OPTION_HEADER_BYTES,
  padded,
  SECTION,
} from './pcapng-format.ts';

// The blocks of a pcapng file that carry no packet, and the options of all.

const NS_PER_SECOND = 1_000_000_000n;
/** Up to here a remainder times 2^16 is still an exact number. */
const MAX_EXACT_UNITS = 2n ** 36n;

/** An interface as one section declares it. */
export interface DeclaredInterface extends CaptureInterface {
  unitsPerSecond: bigint;
  /** The same as a number where times can be had without bigints, else 0. */
  unit: number;
  offsetSeconds: number;
}

/** A block wholly in the reader's buffer, without its trailing length; for those that are no packets. */
export interface Block {
  view: DataView;
  from: number; // byte offset in the file
  little: boolean; // the section's byte order
}

export function readByteOrder(reader: ChunkReader, from: number): boolean {
  const magic = reader.view.getUint32(reader.at + SECTION.byteOrder, true);
  if (magic === BYTE_ORDER_MAGIC) return true;
  if (reader.view.getUint32(reader.at + SECTION.byteOrder, false) === BYTE_ORDER_MAGIC) return false;
  return reader.fail(`section header at byte ${from}: no byte-order magic`, from);
}

export function checkSection(reader: ChunkReader, view: DataView, from: number, little: boolean): void {
  if (view.byteLength < SECTION.options) reader.fail(`section header at byte ${from}: too short`, from);
  const major = view.getUint16(SECTION.major, little);
  const minor = view.getUint16(SECTION.minor, little);
  if (major !== 1) reader.fail(`section header at byte ${from}: pcapng version ${major}.${minor}, not 1.x`, from);
}

export function readInterface(reader: ChunkReader, { view, from, little }: Block): DeclaredInterface {
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
    unit: 0,
    offsetSeconds: 0,
  };
  for (const { code, value } of readOptions(reader, { view, from, little }, INTERFACE.options)) {
    if (code === INTERFACE_NAME) found.name = text(value);
    else if (code === INTERFACE_DESCRIPTION) found.description = text(value);
    else if (code === INTERFACE_TIME_RESOLUTION && value.byteLength >= 1) {
      const resolution = value.getUint8(0); // high bit: a power of 2, not of 10
      found.unitsPerSecond = resolution & 0x80 ? 2n ** BigInt(resolution & 0x7f) : 10n ** BigInt(resolution);
    } else if (code === INTERFACE_TIME_OFFSET && value.byteLength >= 8) {
      found.offsetSeconds = Number(value.getBigInt64(0, little));
    }
  }
  const { unitsPerSecond } = found;
  if (unitsPerSecond <= MAX_EXACT_UNITS && NS_PER_SECOND % unitsPerSecond === 0n) found.unit = Number(unitsPerSecond);
  return found;
}

export function* readOptions(
  reader: ChunkReader,
  { view, from, little }: Block,
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
/** Of a copy, since bytes that threads share are not decoded. */
export const text = (value: DataView): string =>
  utf8.decode(new Uint8Array(value.buffer, value.byteOffset, value.byteLength).slice());
