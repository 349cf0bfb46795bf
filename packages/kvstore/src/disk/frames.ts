import { crc32 } from 'node:zlib';
import { KvstoreError } from '../errors.ts';

/**
 * The form of the log's and the snapshots' files: a header, then frames. Numbers are little-endian.
 *
 *     header  magic, 8 bytes | salt u32 | CRC-32 of these 12 bytes
 *     frame   payload length u32 | sequence u64 | CRC-32 of salt, length, sequence and payload | payload
 *
 * The salt is another in every file, so that no bytes of a user's are taken for a frame.
 */
const HEADER_SIZE = 16;
const FRAME_HEADER_SIZE = 16;
/** A disk writes this many bytes or none of them. */
const SECTOR = 512;

export type Magic = 'ciliwal1' | 'cilisnp1';

export function encodeHeader(magic: Magic, salt: number): Uint8Array {
  const header = Buffer.alloc(HEADER_SIZE);
  header.write(magic, 'latin1');
  header.writeUInt32LE(salt, 8);
  header.writeUInt32LE(crc32(header.subarray(0, 12)), 12);
  return header;
}

export function encodeFrame(salt: number, sequence: number, payload: Uint8Array): Uint8Array {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_SIZE + payload.length);
  frame.writeUInt32LE(payload.length, 0);
  frame.writeBigUInt64LE(BigInt(sequence), 4);
  frame.set(payload, FRAME_HEADER_SIZE);
  frame.writeUInt32LE(checksum(salt, frame, payload.length), 12);
  return frame;
}

function checksum(salt: number, frame: Buffer, length: number): number {
  const withHead = crc32(frame.subarray(0, 12), salt);
  return crc32(frame.subarray(FRAME_HEADER_SIZE, FRAME_HEADER_SIZE + length), withHead);
}

export interface Frame {
  sequence: number;
  payload: Uint8Array;
}

export interface FrameFile {
  salt: number;
  frames: Frame[];
  /** Where the whole frames end. 0: not even the header was written. */
  end: number;
  /** What follows is the rest of a write that was never acknowledged, and not just zeros. */
  isTorn: boolean;
}

/**
 * The whole frames of a file, in sequence. Zeros may follow them.
 *
 * What else follows the last whole frame is the torn tail of a write that nobody was told of, if it is torn as disks tear:
 * it lacks whole sectors, and no whole frame comes after it. Anything else is damage.
 *
 * @param first the sequence that the first frame must have
 * @param mayTear false: the file was synced whole
 * @throws CORRUPT
 */
export function readFrames(name: string, bytes: Uint8Array, magic: Magic, first: number, mayTear: boolean): FrameFile {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = buffer.subarray(0, HEADER_SIZE);
  const isHeader =
    header.length === HEADER_SIZE &&
    header.toString('latin1', 0, 8) === magic &&
    header.readUInt32LE(12) === crc32(header.subarray(0, 12));
  if (!isHeader) {
    // The first write into a new file is its header alone, synced before anything follows.
    if (mayTear && (buffer.length < HEADER_SIZE || isZero(buffer)))
      return { salt: 0, frames: [], end: 0, isTorn: true };
    throw damaged(name, 0, 'the header is not one of this store, or does not match its checksum');
  }
  const salt = header.readUInt32LE(8);
  const frames: Frame[] = [];
  const used = usedOf(buffer);
  let at = HEADER_SIZE;
  for (let sequence = first; at < used; sequence++) {
    const payload = frameAt(buffer, at, salt, sequence);
    if (payload === undefined) {
      const problem = mayTear ? notTorn(buffer, at, used, salt, sequence) : 'the frame does not match its checksum';
      if (problem !== undefined) throw damaged(name, at, problem);
      break;
    }
    frames.push({ sequence, payload });
    at += FRAME_HEADER_SIZE + payload.length;
  }
  return { salt, frames, end: at, isTorn: at < used };
}

function frameAt(buffer: Buffer, at: number, salt: number, sequence: number): Uint8Array | undefined {
  if (at + FRAME_HEADER_SIZE > buffer.length) return undefined;
  const length = buffer.readUInt32LE(at);
  if (at + FRAME_HEADER_SIZE + length > buffer.length) return undefined;
  if (buffer.readBigUInt64LE(at + 4) !== BigInt(sequence)) return undefined;
  const frame = buffer.subarray(at, at + FRAME_HEADER_SIZE + length);
  if (frame.readUInt32LE(12) !== checksum(salt, frame, length)) return undefined;
  return frame.subarray(FRAME_HEADER_SIZE);
}

/** Why the bytes from `at` on are not the torn tail of one write; undefined: they are. */
function notTorn(buffer: Buffer, at: number, used: number, salt: number, sequence: number): string | undefined {
  // One write is in flight at a time: it holds the next sequence, so a later one was written after it was synced.
  const later = nextFrame(buffer, at + 1, used, salt, sequence);
  if (later !== undefined)
    return `frame ${sequence} does not match its checksum, but frame ${later.sequence} at byte ${later.at} does`;
  if (used - at < FRAME_HEADER_SIZE) return undefined;
  const end = at + FRAME_HEADER_SIZE + buffer.readUInt32LE(at);
  if (end > used) return undefined; // no frame's last byte is 0: numbers end records, and their last byte is not
  for (let sector = at - (at % SECTOR); sector < end; sector += SECTOR)
    if (isZero(buffer.subarray(Math.max(at, sector), sector + SECTOR))) return undefined;
  return `frame ${sequence} is there in full and does not match its checksum`;
}

/** Sequences lie close together: a frame header is searched by the upper half of its sequence and its few next values. */
function nextFrame(
  buffer: Buffer,
  from: number,
  to: number,
  salt: number,
  sequence: number,
): { at: number; sequence: number } | undefined {
  for (let at = from; at < to && at + FRAME_HEADER_SIZE <= buffer.length; at++) {
    if (buffer.readUInt32LE(at + 8) !== Math.floor(sequence / 2 ** 32)) continue;
    const found = Number(buffer.readBigUInt64LE(at + 4));
    if (found <= sequence || frameAt(buffer, at, salt, found) === undefined) continue;
    return { at, sequence: found };
  }
  return undefined;
}

/** Where the zeros begin that the file ends with. */
function usedOf(buffer: Buffer): number {
  let used = buffer.length;
  while (used > 0 && buffer[used - 1] === 0) used--;
  return used;
}

const isZero = (buffer: Buffer): boolean => buffer.every((byte) => byte === 0);

const damaged = (file: string, byte: number, problem: string): KvstoreError =>
  new KvstoreError('CORRUPT', `${file} is damaged: ${problem}; restore the directory from a copy`, { file, byte });
