import type { ChunkReader } from './chunks.ts';

/** Where packets were recorded. A pcap file has one, without a name. */
export interface CaptureInterface {
  name: string | undefined;
  description: string | undefined;
  linkType: number; // LINKTYPE_ETHERNET
  snapLength: number; // bytes kept of a packet at most; 0: no limit
}

/** Called for each interface a file declares, by its index in the file (over all sections). */
export type OnInterface = (index: number, found: CaptureInterface) => void;

/**
 * A capture read forwards without an object for each packet: `next` moves to a packet, whose fields then hold until the
 * next call. Its bytes lie in `bytes` at `at`, a buffer that is filled again and again.
 */
export abstract class PacketCursor {
  /** 1-based in the file, as Wireshark counts; 0 before the first packet. */
  number = 0;
  interfaceId = 0;
  /** Since 1970; `nanoseconds` of that second. Both 0 where the file records no time. */
  seconds = 0;
  nanoseconds = 0;
  at = 0;
  /** How many sections and interfaces the file has declared so far: what packets mean depends on nothing else. */
  declared = 0;
  /** Bytes in the file, and on the wire. */
  length = 0;
  originalLength = 0;
  protected readonly reader: ChunkReader;

  constructor(reader: ChunkReader) {
    this.reader = reader;
  }

  get bytes(): Uint8Array {
    return this.reader.bytes;
  }

  /** Byte offset in the file of what `next` looks at. */
  get position(): number {
    return this.reader.position;
  }

  /**
   * Goes on at a packet or a block, which the caller knows to begin there. What is declared stays as it is.
   * @param number of the packet before
   * @param bytes where the file is read to; a block that is larger gets a buffer of its own, then `bytes` is another
   */
  seek(position: number, number: number, bytes: Uint8Array): void {
    this.reader.seek(position, bytes);
    this.number = number;
  }

  /** Goes on at this later place, where a packet or a block begins, and sees what is declared in front of it. @throws CaptureError */
  abstract skipTo(position: number): void;

  /** @returns false at the end of the file. @throws CaptureError where the file breaks off or makes no sense */
  abstract next(): boolean;

  /** As `next`, but false too where the file would have to be read first: until then the buffer keeps all packets. */
  abstract nextInBuffer(): boolean;

  /** What the file says about this packet; several comments are joined by newlines. */
  abstract get comment(): string | undefined;

  close(): void {
    this.reader.close();
  }
}
