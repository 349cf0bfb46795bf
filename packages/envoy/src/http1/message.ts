/** The name in lower case, the value without surrounding white space, one char a byte. */
export type HeaderLine = readonly [name: string, value: string];

/** Header lines in their order. */
export type Headers = readonly HeaderLine[];

/** How the end of a message is known (RFC 9112, 6.3). */
export type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }
  /** Responses only: the connection ends with it. */
  | { readonly kind: 'untilClose' };

export type HttpVersion = '1.0' | '1.1';

export interface RequestStart {
  readonly method: string;
  /** As on the request line: not split, not decoded. */
  readonly target: string;
  readonly version: HttpVersion;
  readonly headers: Headers;
  readonly framing: Framing;
}

export interface ResponseStart {
  readonly status: number;
  readonly reason: string;
  readonly version: HttpVersion;
  readonly headers: Headers;
  readonly framing: Framing;
}

/** Where a head lies in its stream, in bytes from the stream's start; `headEnd` is the place after its empty line. */
export interface HeadPlace {
  readonly start: number;
  readonly headEnd: number;
}

/** Something is wrong in a stream that should be HTTP/1. Nothing after it can be understood. */
export class HttpError extends Error {
  override readonly name: string = 'HttpError';
  readonly code = 'HTTP_PROTOCOL';
  /** What a proxy answers if it was a request. */
  readonly status: 400 | 431 | 501;

  constructor(status: 400 | 431 | 501, message: string) {
    super(message);
    this.status = status;
  }
}

/** The stream ended inside a message. */
export class TruncatedError extends HttpError {
  override readonly name = 'TruncatedError';

  constructor() {
    super(400, 'the stream ends inside a message');
  }
}

export function valuesOf(headers: Headers, name: string): readonly string[] {
  let values: string[] | undefined;
  for (let at = 0; at < headers.length; at++) {
    const line = headers[at]!;
    if (line[0] !== name) continue;
    if (values === undefined) values = [line[1]];
    else values.push(line[1]);
  }
  return values ?? NONE;
}

export function firstValue(headers: Headers, name: string): string | undefined {
  for (let at = 0; at < headers.length; at++) {
    const line = headers[at]!;
    if (line[0] === name) return line[1];
  }
  return undefined;
}

/** Is `token` one of the comma-separated words of this header, in any case? */
export function hasToken(headers: Headers, name: string, token: string): boolean {
  const words = tokensOf(headers, name);
  return words.length > 0 && words.includes(token);
}

const NONE: readonly string[] = [];

/** The comma-separated words of all lines of this header, in lower case. */
export function tokensOf(headers: Headers, name: string): readonly string[] {
  let words = NONE;
  for (let at = 0; at < headers.length; at++) {
    const line = headers[at]!;
    if (line[0] === name) words = words === NONE ? wordsOf(line[1]) : [...words, ...wordsOf(line[1])];
  }
  return words;
}

const wordsOf = (value: string): readonly string[] =>
  ONE_WORD.test(value) ? [value] : value.split(',').map((word) => word.trim().toLowerCase());

/** What most say, and is as it should be. */
const ONE_WORD = /^[a-z-]+$/;
