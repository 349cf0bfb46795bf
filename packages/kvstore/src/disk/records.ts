import type { LeaseId } from '../client.ts';
import { KvstoreError } from '../errors.ts';
import type { Bytes } from '../keys.ts';

/** What the log and snapshots tell. A write is its puts and deletes, then the commit that makes them a revision. */
export type StoreRecord =
  | { type: 'put'; key: Bytes; value: Bytes; leaseId: LeaseId }
  | { type: 'delete'; key: Bytes }
  | { type: 'commit'; revision: number }
  | { type: 'grant'; leaseId: LeaseId; ttlSeconds: number }
  | { type: 'revoke'; leaseId: LeaseId }
  | { type: 'compact'; revision: number }
  // Only in snapshots:
  | { type: 'begin'; revision: number; compactRevision: number; nextLeaseId: LeaseId }
  | {
      type: 'version';
      key: Bytes;
      value: Bytes;
      leaseId: LeaseId;
      createRevision: number;
      modRevision: number;
      version: number;
    }
  | { type: 'end'; versions: number };

const TYPES = ['put', 'delete', 'commit', 'grant', 'revoke', 'compact', 'begin', 'version', 'end'] as const;

/** Bytes that grow. Numbers are unsigned LEB128, texts their length and their bytes. */
export class RecordWriter {
  #buffer = Buffer.allocUnsafe(1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The bytes since the last take; valid until the next write. */
  take(): Uint8Array {
    const taken = this.#buffer.subarray(0, this.#length);
    this.#length = 0;
    return taken;
  }

  write(record: StoreRecord): void {
    this.#reserve(64); // a type and at most 6 numbers
    this.#buffer[this.#length++] = TYPES.indexOf(record.type);
    switch (record.type) {
      case 'put':
        this.#bytes(record.key);
        this.#bytes(record.value);
        this.#id(record.leaseId);
        break;
      case 'delete':
        this.#bytes(record.key);
        break;
      case 'commit':
      case 'compact':
        this.#number(record.revision);
        break;
      case 'grant':
        this.#id(record.leaseId);
        this.#number(record.ttlSeconds);
        break;
      case 'revoke':
        this.#id(record.leaseId);
        break;
      case 'begin':
        this.#number(record.revision);
        this.#number(record.compactRevision);
        this.#id(record.nextLeaseId);
        break;
      case 'version':
        this.#bytes(record.key);
        this.#bytes(record.value);
        this.#id(record.leaseId);
        this.#number(record.createRevision);
        this.#number(record.modRevision);
        this.#number(record.version);
        break;
      case 'end':
        this.#number(record.versions);
        break;
    }
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#length + bytes));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }

  #bytes(bytes: Bytes): void {
    this.#reserve(bytes.length + 64);
    this.#number(bytes.length);
    this.#length += this.#buffer.write(bytes, this.#length, 'latin1');
  }

  #number(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#length++] = rest;
  }

  #id(id: LeaseId): void {
    let rest = BigInt.asUintN(64, id);
    for (; rest >= 0x80n; rest >>= 7n) this.#buffer[this.#length++] = Number(rest & 0x7fn) | 0x80;
    this.#buffer[this.#length++] = Number(rest);
  }
}

/** @throws CORRUPT: the bytes are none that `RecordWriter` writes, though their checksum is right */
export function* readRecords(bytes: Uint8Array): Generator<StoreRecord, void, undefined> {
  const reader = new Reader(bytes);
  while (!reader.atEnd) yield readRecord(reader);
}

function readRecord(reader: Reader): StoreRecord {
  const type = TYPES[reader.byte()];
  switch (type) {
    case 'put':
      return { type, key: reader.bytes(), value: reader.bytes(), leaseId: reader.id() };
    case 'delete':
      return { type, key: reader.bytes() };
    case 'commit':
    case 'compact':
      return { type, revision: reader.number() };
    case 'grant':
      return { type, leaseId: reader.id(), ttlSeconds: reader.number() };
    case 'revoke':
      return { type, leaseId: reader.id() };
    case 'begin':
      return { type, revision: reader.number(), compactRevision: reader.number(), nextLeaseId: reader.id() };
    case 'version':
      return {
        type,
        key: reader.bytes(),
        value: reader.bytes(),
        leaseId: reader.id(),
        createRevision: reader.number(),
        modRevision: reader.number(),
        version: reader.number(),
      };
    case 'end':
      return { type, versions: reader.number() };
    default:
      throw new KvstoreError('CORRUPT', 'a record of an unknown type');
  }
}

class Reader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get atEnd(): boolean {
    return this.#at === this.#buffer.length;
  }

  byte(): number {
    const byte = this.#buffer[this.#at++];
    if (byte === undefined) throw new KvstoreError('CORRUPT', 'a record ends in its middle');
    return byte;
  }

  number(): number {
    let value = 0;
    for (let unit = 1; ; unit *= 0x80) {
      const byte = this.byte();
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) return value;
    }
  }

  id(): LeaseId {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, value);
    }
  }

  bytes(): Bytes {
    const length = this.number();
    const end = this.#at + length;
    if (end > this.#buffer.length) throw new KvstoreError('CORRUPT', 'a record ends in its middle');
    const bytes = this.#buffer.toString('latin1', this.#at, end);
    this.#at = end;
    return bytes;
  }
}
