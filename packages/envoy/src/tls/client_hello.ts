/** What the first bytes of a connection turn out to be. */
export type Inspection =
  /** More bytes are needed. */
  | { readonly kind: 'more' }
  /** A ClientHello; the name in lower case, undefined without one. */
  | { readonly kind: 'tls'; readonly serverName: string | undefined }
  /** Not TLS, or a ClientHello that no server would understand. */
  | { readonly kind: 'raw' }
  /** A ClientHello longer than anybody's. */
  | { readonly kind: 'tooLarge' };

const MORE: Inspection = { kind: 'more' };
const RAW: Inspection = { kind: 'raw' };
const TOO_LARGE: Inspection = { kind: 'tooLarge' };

/** Of all records together, with their headers: Envoy's largest. */
const MAX_BYTES = 16 * 1024;
const MAX_RECORD_BYTES = 1 << 14;
const RECORD_HEADER_BYTES = 5;
const MESSAGE_HEADER_BYTES = 4;
const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME_EXTENSION = 0;
const HOST_NAME = 0;
const MAX_NAME_BYTES = 255;

/**
 * Reads the first flight of a TLS client (RFC 8446, 4.1.2 and 5.1; RFC 6066, 3) as it comes, in whatever pieces, and never
 * more than 16 KiB. Each byte is looked at once, the message when it is whole.
 *
 * As in BoringSSL, by which Envoy's tls_inspector reads, a name that is empty, longer than 255 bytes or holds a NUL, and a list
 * of other than one name, make it no ClientHello. Stricter: so do two such extensions, and records without content.
 */
export class ClientHelloReader {
  #length = 0;
  /** Of the record whose header is not whole. */
  readonly #header = new Uint8Array(RECORD_HEADER_BYTES);
  #headerLength = 0;
  /** Bytes of the present record still to come. */
  #recordLeft = 0;
  /** The message, as far as it is there. */
  #message = new Uint8Array(1024);
  #messageLength = 0;
  #result: Inspection = MORE;

  /** @returns what all bytes so far are; once that is known, further bytes change nothing */
  push(bytes: Uint8Array): Inspection {
    let at = 0;
    while (this.#result === MORE && at < bytes.length)
      at += this.#recordLeft > 0 ? this.#takeContent(bytes, at) : this.#takeHeader(bytes, at);
    return this.#result;
  }

  #takeHeader(bytes: Uint8Array, at: number): number {
    const header = this.#header;
    const taken = Math.min(RECORD_HEADER_BYTES - this.#headerLength, bytes.length - at);
    header.set(bytes.subarray(at, at + taken), this.#headerLength);
    this.#headerLength += taken;
    // What speaks another protocol may wait for an answer: it is told by its first bytes.
    if (header[0] !== HANDSHAKE_RECORD || (this.#headerLength > 1 && header[1] !== 3)) this.#result = RAW;
    if (this.#headerLength < RECORD_HEADER_BYTES) return taken;
    this.#headerLength = 0;
    this.#recordLeft = (header[3]! << 8) | header[4]!;
    this.#length += RECORD_HEADER_BYTES + this.#recordLeft;
    if (this.#recordLeft === 0 || this.#recordLeft > MAX_RECORD_BYTES) this.#result = RAW;
    else if (this.#length > MAX_BYTES) this.#result = TOO_LARGE;
    return taken;
  }

  #takeContent(bytes: Uint8Array, at: number): number {
    const taken = Math.min(this.#recordLeft, bytes.length - at);
    this.#recordLeft -= taken;
    this.#keep(bytes.subarray(at, at + taken));
    const message = this.#message;
    if (message[0] !== CLIENT_HELLO) this.#result = RAW;
    else if (this.#messageLength >= MESSAGE_HEADER_BYTES) {
      const end = MESSAGE_HEADER_BYTES + ((message[1]! << 16) | (message[2]! << 8) | message[3]!);
      if (end > MAX_BYTES) this.#result = TOO_LARGE;
      else if (this.#messageLength >= end) this.#result = inspect(message.subarray(MESSAGE_HEADER_BYTES, end));
    }
    return taken;
  }

  #keep(part: Uint8Array): void {
    const length = this.#messageLength + part.length;
    if (length > this.#message.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#message.length));
      larger.set(this.#message.subarray(0, this.#messageLength));
      this.#message = larger;
    }
    this.#message.set(part, this.#messageLength);
    this.#messageLength = length;
  }
}

/** Reads vectors off the front of bytes; one that goes beyond the end is undefined, and so is all after it. */
class Fields {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  take(length: number): Uint8Array | undefined {
    const end = this.#at + length;
    if (!(end <= this.#bytes.length)) return undefined; // also for NaN
    const part = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return part;
  }

  /** @returns NaN beyond the end */
  number(bytes: 1 | 2): number {
    const part = this.take(bytes);
    if (part === undefined) return Number.NaN;
    return bytes === 1 ? part[0]! : (part[0]! << 8) | part[1]!;
  }

  /** A vector with its length before it. */
  vector(lengthBytes: 1 | 2): Uint8Array | undefined {
    return this.take(this.number(lengthBytes));
  }
}

/** @param body of a ClientHello */
function inspect(body: Uint8Array): Inspection {
  const fields = new Fields(body);
  fields.take(2 + 32); // legacy_version, random
  const session = fields.vector(1);
  const suites = fields.vector(2);
  const compressions = fields.vector(1);
  if (session === undefined || session.length > 32) return RAW;
  if (suites === undefined || suites.length < 2 || suites.length % 2 !== 0) return RAW;
  if (compressions === undefined || compressions.length === 0) return RAW;
  if (fields.atEnd) return { kind: 'tls', serverName: undefined };
  const extensions = fields.vector(2);
  if (extensions === undefined || !fields.atEnd) return RAW;
  return inspectExtensions(new Fields(extensions));
}

function inspectExtensions(extensions: Fields): Inspection {
  let serverName: string | undefined;
  while (!extensions.atEnd) {
    const type = extensions.number(2);
    const content = extensions.vector(2);
    if (content === undefined) return RAW;
    if (type !== SERVER_NAME_EXTENSION) continue;
    const name = nameOf(content);
    if (name === undefined || serverName !== undefined) return RAW;
    serverName = name;
  }
  return { kind: 'tls', serverName };
}

/** @returns undefined if it is none */
function nameOf(extension: Uint8Array): string | undefined {
  const outer = new Fields(extension);
  const list = outer.vector(2);
  if (list === undefined || !outer.atEnd) return undefined;
  const entry = new Fields(list);
  if (entry.number(1) !== HOST_NAME) return undefined;
  const name = entry.vector(2);
  if (name === undefined || !entry.atEnd) return undefined;
  if (name.length === 0 || name.length > MAX_NAME_BYTES || name.includes(0)) return undefined;
  return Buffer.from(name)
    .toString('latin1')
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
