import { ByteQueue } from './byte_queue.ts';
import { checkFirstByte, type HeadBytes, MAX_HEAD_BYTES, readRequestHead, readResponseHead } from './head.ts';
import { hasControl, readHeaderLines } from './header_lines.ts';
import {
  type Framing,
  type Headers,
  type HeadPlace,
  HttpError,
  type RequestStart,
  type ResponseStart,
  TruncatedError,
} from './message.ts';

/**
 * What a stream of messages says, in order. `chunk` comes only in chunked bodies: the `data` events after it add up to
 * `size`. `end` is the message's, at stream place `end`. After `error` nothing comes.
 */
export type ParserEvent<Start> =
  | { readonly type: 'head'; readonly head: Start & HeadPlace }
  | BodyEvent
  | { readonly type: 'error'; readonly error: HttpError };

export type BodyEvent =
  | { readonly type: 'chunk'; readonly size: number }
  | { readonly type: 'data'; readonly bytes: Uint8Array }
  | { readonly type: 'end'; readonly end: number; readonly trailers: Headers };

type State =
  | { at: 'between' }
  | { at: 'head'; start: number; lines: string[] }
  | { at: 'length'; left: number }
  | { at: 'untilClose' }
  | { at: 'chunkSize' }
  | { at: 'chunkData'; left: number }
  | { at: 'chunkEnd' }
  | { at: 'trailers'; lines: string[] }
  | { at: 'end'; trailers: Headers };

type ReadHead<Start> = (head: HeadBytes, start: number) => Start & HeadPlace;

// States that say no more than where they are.
const BETWEEN: State = { at: 'between' };
const CHUNK_SIZE: State = { at: 'chunkSize' };
const CHUNK_END: State = { at: 'chunkEnd' };
const UNTIL_CLOSE: State = { at: 'untilClose' };
const NO_HEADERS: Headers = [];
const END: State = { at: 'end', trailers: NO_HEADERS };

const CHUNK_LINE = /^([0-9a-fA-F]{1,12})(?:[ \t]*;(.*))?$/;
const MAX_CHUNK_LINE = 4096;
const CR = 0x0d;
const LF = 0x0a;

/**
 * HTTP/1 messages out of a byte stream, asked for one event at a time: who wants no more, does not ask, and the bytes
 * wait. Strict where leniency lets two readers of a stream disagree: a line ends with CR LF and nothing else.
 * Source: RFC 9112; Envoy's HTTP/1 codec for limits and for what is refused.
 */
class MessageParser<Start extends { readonly framing: Framing }> {
  readonly #readHead: ReadHead<Start>;
  readonly #checkFirst: (byte: number) => void;
  readonly #bytes = new ByteQueue();
  #state: State = BETWEEN;
  /** Of the lines of the head or trailers being read. */
  #lineBytes = 0;
  #finished = false;
  #error: HttpError | undefined;

  /** @param checkFirst throws what is wrong with the first byte of a head */
  constructor(readHead: ReadHead<Start>, checkFirst: (byte: number) => void = () => {}) {
    this.#readHead = readHead;
    this.#checkFirst = checkFirst;
  }

  /** Nothing of a next message was read. */
  get between(): boolean {
    return this.#state.at === 'between';
  }

  /** Bytes that came and were not read. */
  get unread(): number {
    return this.#bytes.length;
  }

  push(bytes: Uint8Array): void {
    this.#bytes.push(bytes);
  }

  /** All that came and was not read: it is no HTTP/1 any more. */
  takeRest(): Uint8Array {
    return this.#bytes.take(this.#bytes.length);
  }

  /** No more bytes will come. */
  finish(): void {
    this.#finished = true;
  }

  /** undefined: more bytes are needed. */
  next(): ParserEvent<Start> | undefined {
    if (this.#error !== undefined) return undefined;
    try {
      return this.#next();
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#error = error;
      return { type: 'error', error };
    }
  }

  #next(): ParserEvent<Start> | undefined {
    for (;;) {
      const before = this.#state;
      const event = this.#step();
      if (event !== undefined) return event;
      if (this.#state !== before) continue;
      if (this.#finished && !this.between) throw new TruncatedError();
      return undefined;
    }
  }

  /** One move: an event, or another state; neither if bytes are missing. */
  #step(): ParserEvent<Start> | undefined {
    const state = this.#state;
    switch (state.at) {
      case 'between':
        return this.#skipEmptyLines();
      case 'head': {
        const length = state.lines.length === 0 ? this.#bytes.blockLength(MAX_HEAD_BYTES) : undefined;
        if (length !== undefined) return this.#startWhole(state.start, length);
        if (!this.#readLines(state.lines)) return undefined;
        return this.#startMessage(this.#readHead(bytesOf(state.lines), state.start));
      }
      case 'length':
      case 'chunkData': {
        const bytes = this.#bytes.take(state.left);
        const left = state.left - bytes.length;
        if (left > 0) this.#state = bytes.length === 0 ? state : { at: state.at, left };
        else this.#state = state.at === 'length' ? END : CHUNK_END;
        return bytes.length === 0 ? undefined : { type: 'data', bytes };
      }
      case 'untilClose':
        if (this.#bytes.length > 0) return { type: 'data', bytes: this.#bytes.take(this.#bytes.length) };
        if (this.#finished) this.#state = END;
        return undefined;
      case 'chunkSize':
        return this.#startChunk();
      case 'chunkEnd':
        if (this.#bytes.length < 2) return undefined;
        if (this.#bytes.peek(0) !== CR || this.#bytes.peek(1) !== LF) throw new HttpError(400, 'chunk too long');
        this.#bytes.skip(2);
        this.#state = CHUNK_SIZE;
        return undefined;
      case 'trailers':
        if (this.#readLines(state.lines)) this.#state = { at: 'end', trailers: readTrailers(state.lines) };
        return undefined;
      case 'end':
        this.#state = BETWEEN;
        return { type: 'end', end: this.#bytes.offset, trailers: state.trailers };
    }
  }

  /** Before a message empty lines are ignored (RFC 9112, 2.2). */
  #skipEmptyLines(): undefined {
    while (this.#bytes.peek(0) === CR) {
      if (this.#bytes.length < 2) return;
      if (this.#bytes.peek(1) !== LF) throw new HttpError(400, 'CR without LF');
      this.#bytes.skip(2);
    }
    const first = this.#bytes.peek(0);
    if (first === undefined) return;
    this.#checkFirst(first);
    this.#lineBytes = 0;
    this.#state = { at: 'head', start: this.#bytes.offset, lines: [] };
  }

  /** A head that came whole; one that did not is read line by line, as they come. */
  #startWhole(start: number, length: number): ParserEvent<Start> {
    const place = this.#bytes.look(length);
    try {
      const head = this.#readHead(place, start);
      this.#bytes.skip(length);
      return this.#startMessage(head);
    } catch (error) {
      // Line by line this would have been seen first. A head that could be read has none.
      const text = place.bytes.toString('latin1', place.from, place.end);
      if (/\r(?!\n)|(?<!\r)\n/.test(text)) throw new HttpError(400, 'CR and LF apart');
      throw error;
    }
  }

  #startMessage(head: Start & HeadPlace): ParserEvent<Start> {
    const { framing } = head;
    if (framing.kind === 'chunked') this.#state = CHUNK_SIZE;
    else if (framing.kind === 'untilClose') this.#state = UNTIL_CLOSE;
    else if (framing.kind === 'length' && framing.length > 0) this.#state = { at: 'length', left: framing.length };
    else this.#state = END;
    return { type: 'head', head };
  }

  #startChunk(): ParserEvent<Start> | undefined {
    const line = this.#bytes.line();
    if ((line?.length ?? this.#bytes.length) > MAX_CHUNK_LINE) throw new HttpError(400, 'chunk line too long');
    if (line === undefined) return undefined;
    // What a chunk extension says ends here: it is not passed on.
    const [, digits, extension = ''] = CHUNK_LINE.exec(withoutCr(line)) ?? [];
    if (digits === undefined || hasControl(extension)) throw new HttpError(400, 'malformed chunk size');
    const size = Number.parseInt(digits, 16);
    this.#lineBytes = 0;
    this.#state = size === 0 ? { at: 'trailers', lines: [] } : { at: 'chunkData', left: size };
    return size === 0 ? undefined : { type: 'chunk', size };
  }

  /** Adds the lines that came, up to the empty one. @returns whether that came */
  #readLines(lines: string[]): boolean {
    for (;;) {
      const line = this.#bytes.line();
      // The size first, so that the answer does not depend on how the bytes were cut into segments.
      this.#lineBytes += line === undefined ? 0 : line.length + 1;
      const waiting = line === undefined ? this.#bytes.length : 0;
      if (this.#lineBytes + waiting > MAX_HEAD_BYTES) throw new HttpError(431, 'head too large');
      if (line === undefined) return false;
      const text = withoutCr(line);
      if (text === '') return true;
      lines.push(text);
    }
  }
}

/** A line that ended with LF must end with CR LF, and hold no other CR. */
function withoutCr(line: string): string {
  if (line === '' || line.indexOf('\r') !== line.length - 1) throw new HttpError(400, 'CR and LF apart');
  return line.slice(0, -1);
}

/** Lines that came one by one, as they came. */
function bytesOf(lines: readonly string[]): HeadBytes {
  const bytes = Buffer.from([...lines, '', ''].join('\r\n'), 'latin1');
  return { bytes, from: 0, end: bytes.length };
}

function readTrailers(lines: readonly string[]): Headers {
  const { bytes, end } = bytesOf(lines);
  return lines.length === 0 ? NO_HEADERS : readHeaderLines(bytes, bytes.toString('latin1'), 0, 0, end);
}

/** The requests in the bytes that a client sends. */
export class RequestParser extends MessageParser<RequestStart> {
  constructor() {
    super(readRequestHead, checkFirstByte);
  }
}

interface Expected {
  readonly method: string;
  /** The connection may become another protocol's. */
  readonly upgrade: boolean;
}

/**
 * The responses in the bytes that a server sends. Each must have been announced: whether a body follows depends on the
 * request. Interim responses (1xx) come as messages of their own; 101 is refused, unless the request asked for an upgrade.
 */
export class ResponseParser extends MessageParser<ResponseStart> {
  readonly #expected: Expected[];

  constructor() {
    const expected: Expected[] = [];
    const methodOf = (status: number): string => methodFor(expected, status);
    super((head, start) => readResponseHead(head, start, methodOf));
    this.#expected = expected;
  }

  /** A request with this method was sent. */
  expect(method: string, upgrade = false): void {
    this.#expected.push({ method, upgrade });
  }
}

function methodFor(expected: Expected[], status: number): string {
  if (status === 101 && expected[0]?.upgrade !== true)
    throw new HttpError(400, 'protocol switch that nobody asked for');
  const isLast = status >= 200 || status === 101;
  const request = isLast ? takeFirst(expected) : expected[0];
  if (request === undefined) throw new HttpError(400, 'response to no request');
  return request.method;
}

/** Nearly always there is but one, and nothing to move. */
const takeFirst = <T>(list: T[]): T | undefined => (list.length === 1 ? list.pop() : list.shift());
