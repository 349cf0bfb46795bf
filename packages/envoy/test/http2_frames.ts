// Frames of HTTP/2 as a hostile client writes them (RFC 9113, 4.1), and what a proxy answers.

export const TYPE = {
  ...{ data: 0, headers: 1, priority: 2, rstStream: 3, settings: 4, pushPromise: 5, ping: 6, goaway: 7 },
  ...{ windowUpdate: 8, continuation: 9 },
} as const;
export const END_STREAM = 1;
export const END_HEADERS = 4;

export function frame(type: number, flags: number, stream: number, payload: Uint8Array | string = ''): Buffer {
  const body = Buffer.from(payload as string, 'latin1');
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]);
}

export const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** @param how 0: not indexed; 0x40: into the dynamic table (RFC 7541, 6.2) */
export const literal = (name: string, value: string, how = 0): Buffer =>
  Buffer.concat([Buffer.from([how]), hpackString(name), hpackString(value)]);

const hpackString = (text: string): Buffer => Buffer.concat([hpackLength(text.length), Buffer.from(text, 'latin1')]);

/** RFC 7541, 5.1, with a prefix of 7 bits. */
function hpackLength(length: number): Buffer {
  if (length < 127) return Buffer.from([length]);
  const bytes = [127];
  let left = length - 127;
  for (; left >= 128; left >>>= 7) bytes.push((left & 127) | 128);
  return Buffer.from([...bytes, left]);
}

export const block = (...lines: (readonly [name: string, value: string])[]): Buffer =>
  Buffer.concat(lines.map(([name, value]) => literal(name, value)));

/** The head of a good request. */
export const request = (path = '/public', method = 'GET'): Buffer =>
  block([':method', method], [':scheme', 'http'], [':path', path], [':authority', 'a']);

export const get = (stream: number, path = '/public'): Buffer =>
  frame(TYPE.headers, END_STREAM | END_HEADERS, stream, request(path));

/** A head with more lines, whole, and the end of the request. */
export const getWith = (stream: number, lines: Uint8Array): Buffer =>
  frame(TYPE.headers, END_STREAM | END_HEADERS, stream, Buffer.concat([request(), lines]));

export const reset = (stream: number, code = 8): Buffer => frame(TYPE.rstStream, 0, stream, u32(code));

/** @param settings number and value of each */
export const settings = (...pairs: (readonly [id: number, value: number])[]): Buffer =>
  frame(
    TYPE.settings,
    0,
    0,
    Buffer.concat(pairs.map(([id, value]) => Buffer.concat([Buffer.from([id >> 8, id & 255]), u32(value)]))),
  );

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** What came from the proxy, as its frames tell. */
export class Heard {
  goaway: number | undefined;
  readonly resets = new Map<number, number>();
  /** Streams with a head that is `200`, and those with any other. */
  readonly ok = new Set<number>();
  readonly other = new Set<number>();
  #bytes = Buffer.alloc(0);

  push(bytes: Uint8Array): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    for (;;) {
      if (this.#bytes.length < 9) return;
      const length = this.#bytes.readUIntBE(0, 3);
      if (this.#bytes.length < 9 + length) return;
      this.#onFrame(this.#bytes[3]!, this.#bytes.readUInt32BE(5), this.#bytes.subarray(9, 9 + length));
      this.#bytes = this.#bytes.subarray(9 + length);
    }
  }

  #onFrame(type: number, stream: number, payload: Buffer): void {
    if (type === TYPE.goaway) this.goaway = payload.readUInt32BE(4);
    if (type === TYPE.rstStream) this.resets.set(stream, payload.readUInt32BE());
    if (type !== TYPE.headers) return;
    if (payload[0] === 0x88)
      this.ok.add(stream); // :status 200 of the static table
    else this.other.add(stream);
  }
}
