import { ChunkReader } from './chunks.ts';
import type { CaptureInterface, OnInterface, PacketCursor } from './cursor.ts';
import { CaptureError } from './errors.ts';
import { isPcap, PcapCursor } from './pcap.ts';
import { isPcapng, PcapngCursor } from './pcapng.ts';

export interface CapturedPacket {
  number: number; // 1-based in the file, as Wireshark counts
  interfaceId: number; // index in `interfaces`
  timestampNs: bigint; // since 1970; 0 where the file records none (Simple Packet Block)
  originalLength: number; // bytes on the wire; more than data.length where the capture cut the packet
  data: Uint8Array; // the caller's own
  comment: string | undefined; // several are joined by newlines; pcap has none
}

export interface Capture {
  readonly format: 'pcap' | 'pcapng';
  /** Those declared before the first packet; the rest are added as an iteration reaches them. */
  readonly interfaces: readonly CaptureInterface[];
  /** Read the file from its start; may be called again. @throws CaptureError where the file breaks off or makes no sense */
  [Symbol.iterator](): Iterator<CapturedPacket>;
}

/**
 * Open a pcap or pcapng file, of either byte order, and read as far as its first packet. Packets are then read in
 * chunks as they are asked for: memory does not grow with the file, and an abandoned iteration closes it.
 *
 * @throws CaptureError if the file cannot be read, is neither pcap nor pcapng, or has a link type other than Ethernet
 */
export function openCapture(path: string): Capture {
  const format = detectFormat(path);
  const interfaces: CaptureInterface[] = [];
  const open = (): PacketCursor => newCursor(path, format, interfaces);
  const upToFirst = open();
  try {
    upToFirst.next();
  } finally {
    upToFirst.close();
  }
  return { format, interfaces, [Symbol.iterator]: () => readPackets(open) };
}

/** A cursor, and the interfaces that the file has declared up to its packet. */
export interface OpenCursor {
  readonly cursor: PacketCursor;
  readonly interfaces: readonly CaptureInterface[];
}

/**
 * Open a capture to go through many packets fast; whoever opens it closes the cursor.
 *
 * @param chunkBytes how much of the file is read at a time, and so kept in the buffer
 * @throws CaptureError as `openCapture` does
 */
export function openCursor(path: string, chunkBytes: number): OpenCursor {
  const interfaces: CaptureInterface[] = [];
  return { cursor: newCursor(path, detectFormat(path), interfaces, chunkBytes), interfaces };
}

function newCursor(
  path: string,
  format: Capture['format'],
  interfaces: CaptureInterface[],
  chunkBytes?: number,
): PacketCursor {
  const onInterface: OnInterface = (index, found) => {
    if (index === interfaces.length) interfaces.push(found);
  };
  const reader = new ChunkReader(path, chunkBytes);
  try {
    return format === 'pcap' ? new PcapCursor(reader, onInterface) : new PcapngCursor(reader, onInterface);
  } catch (error) {
    reader.close();
    throw error;
  }
}

function* readPackets(open: () => PacketCursor): Generator<CapturedPacket> {
  const cursor = open();
  try {
    while (cursor.next()) {
      const { number, interfaceId, seconds, nanoseconds, at, length, originalLength, comment } = cursor;
      const timestampNs = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
      yield { number, interfaceId, timestampNs, originalLength, data: cursor.bytes.slice(at, at + length), comment };
    }
  } finally {
    cursor.close();
  }
}

function detectFormat(path: string): Capture['format'] {
  const reader = new ChunkReader(path);
  try {
    const start = reader.bytes.subarray(0, Math.min(4, reader.fill(4)));
    if (isPcapng(start)) return 'pcapng';
    if (isPcap(start)) return 'pcap';
    throw new CaptureError(path, `not a pcap or pcapng file: ${describeStart(start)}`, { offset: 0 });
  } finally {
    reader.close();
  }
}

const OTHER_FORMATS: readonly [magic: string, name: string][] = [
  ['1f 8b', 'it is compressed by gzip; unpack it first'],
  ['28 b5 2f fd', 'it is compressed by zstd; unpack it first'],
  ['fd 37 7a 58', 'it is compressed by xz; unpack it first'],
  ['34 cd b2 a1', 'it is the modified pcap of some old Linux systems; convert it with editcap'],
  ['a1 b2 cd 34', 'it is the modified pcap of some old Linux systems; convert it with editcap'],
];

function describeStart(start: Uint8Array): string {
  if (start.length === 0) return 'it is empty';
  const hex = Array.from(start, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  return OTHER_FORMATS.find(([magic]) => hex.startsWith(magic))?.[1] ?? `starts with ${hex}`;
}
