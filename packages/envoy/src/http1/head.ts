import { isText, readHeaderLines } from './header_lines.ts';
import { KnownWords } from './known_words.ts';
import {
  type Framing,
  type Headers,
  type HeadPlace,
  HttpError,
  type HttpVersion,
  type RequestStart,
  type ResponseStart,
} from './message.ts';

/** Of a head. Envoy's default. */
export const MAX_HEAD_BYTES = 60 * 1024;

const CONTENT_LENGTH = /^[0-9]{1,15}$/;
const [SPACE, CR, LF, DIGIT_0, DIGIT_1] = [0x20, 0x0d, 0x0a, 0x30, 0x31];
const STATUS_LINE = /^HTTP\/1\.[01] [1-5][0-9][0-9]/;
const MINOR_AT = 'HTTP/1.'.length;
const STATUS_AT = 'HTTP/1.1 '.length;
const REASON_AT = 'HTTP/1.1 200 '.length;
const NO_BODY: Framing = { kind: 'none' };
const CHUNKED: Framing = { kind: 'chunked' };
const UNTIL_CLOSE: Framing = { kind: 'untilClose' };
const digit = (code: number): number => code - DIGIT_0;

/** Envoy's HTTP/1 codec knows these and answers 400 to any other. */
const METHODS: readonly string[] = [
  ...['ACL', 'BIND', 'CHECKOUT', 'CONNECT', 'COPY', 'DELETE', 'GET', 'HEAD', 'LINK', 'LOCK', 'MERGE', 'MKACTIVITY'],
  ...['MKCALENDAR', 'MKCOL', 'MOVE', 'MSEARCH', 'NOTIFY', 'OPTIONS', 'PATCH', 'POST', 'PROPFIND', 'PROPPATCH', 'PURGE'],
  ...['PUT', 'REBIND', 'REPORT', 'SEARCH', 'SOURCE', 'SUBSCRIBE', 'TRACE', 'UNBIND', 'UNLINK', 'UNLOCK', 'UNSUBSCRIBE'],
];
const KNOWN_METHODS = new KnownWords(METHODS, false);

const FIRST_BYTES: ReadonlySet<number> = new Set(METHODS.map((method) => method.charCodeAt(0)));

/** As Envoy, look at a request's first byte before its line is complete: what is no HTTP may never end a line. @throws HttpError */
export function checkFirstByte(byte: number): void {
  if (!FIRST_BYTES.has(byte)) throw new HttpError(400, 'unknown method');
}

/** Where a head lies: lines that end with CR LF, the last of them empty; `end` is the place after it. */
export interface HeadBytes {
  readonly bytes: Buffer;
  readonly from: number;
  readonly end: number;
}

/** @param start of the head in its stream @throws HttpError */
export function readRequestHead({ bytes, from, end }: HeadBytes, start: number): RequestStart & HeadPlace {
  const text = bytes.toString('latin1', from, end);
  let at = from;
  while (bytes[at]! > SPACE) at++;
  const methodEnd = at;
  const targetAt = at + 1;
  if (bytes[at] === SPACE) at++;
  while (isVisible(bytes[at]!)) at++;
  const minor = bytes[at + VERSION.length]!;
  const isLine = text.startsWith(VERSION, at - from) && (minor === DIGIT_0 || minor === DIGIT_1);
  const headersAt = at + VERSION.length + 3;
  if (!isLine || at === targetAt || methodEnd === from || bytes[headersAt - 2] !== CR || bytes[headersAt - 1] !== LF)
    throw new HttpError(400, 'malformed request line');
  const method = KNOWN_METHODS.find(bytes, from, methodEnd);
  if (method === undefined) throw new HttpError(400, 'unknown method');
  const target = text.slice(targetAt - from, at - from);
  const version: HttpVersion = minor === DIGIT_1 ? '1.1' : '1.0';
  const headers = readHeaderLines(bytes, text, from, headersAt, end);
  const framing = bodyFraming(headers, version) ?? NO_BODY;
  return { method, target, version, headers, framing, start, headEnd: start + end - from };
}

const VERSION = ' HTTP/1.';
const isVisible = (code: number): boolean => code > 0x20 && code < 0x7f;

/**
 * @param start of the head in its stream @param methodOf the method of the request that a response of this status answers
 * @throws HttpError
 */
export function readResponseHead(
  { bytes, from, end }: HeadBytes,
  start: number,
  methodOf: (status: number) => string,
): ResponseStart & HeadPlace {
  const text = bytes.toString('latin1', from, end);
  const code = from + STATUS_AT;
  const status = digit(bytes[code]!) * 100 + digit(bytes[code + 1]!) * 10 + digit(bytes[code + 2]!);
  let at = code + 3;
  const hasReason = bytes[at] === SPACE;
  while (isText(bytes[at]!)) at++;
  const isLine = STATUS_LINE.test(text) && (hasReason || at === code + 3) && bytes[at] === CR && bytes[at + 1] === LF;
  if (!isLine) throw new HttpError(400, 'malformed status line');
  const reason = hasReason ? text.slice(REASON_AT, at - from) : '';
  const version: HttpVersion = bytes[from + MINOR_AT] === DIGIT_1 ? '1.1' : '1.0';
  const headers = readHeaderLines(bytes, text, from, at + 2, end);
  const declared = bodyFraming(headers, version) ?? UNTIL_CLOSE;
  const bodiless = methodOf(status) === 'HEAD' || status < 200 || status === 204 || status === 304;
  const framing = bodiless ? NO_BODY : declared;
  return { status, reason, version, headers, framing, start, headEnd: start + end - from };
}

/**
 * What the headers say about the body; undefined if nothing. Two opinions about it are one too many: a server behind the
 * proxy might follow the other.
 */
function bodyFraming(headers: Headers, version: HttpVersion): Framing | undefined {
  let codings = 0;
  let coding = '';
  let lengths = 0;
  let length = '';
  for (let at = 0; at < headers.length; at++) {
    const [name, value] = headers[at]!;
    if (name === 'transfer-encoding') {
      codings++;
      coding = value;
    } else if (name === 'content-length') {
      lengths++;
      length = value;
    }
  }
  if (codings > 0) {
    if (lengths > 0) throw new HttpError(400, 'both content-length and transfer-encoding');
    if (version === '1.0') throw new HttpError(400, 'transfer-encoding in HTTP/1.0');
    if (codings > 1 || coding.toLowerCase() !== 'chunked') throw new HttpError(501, 'unsupported transfer encoding');
    return CHUNKED;
  }
  if (lengths > 1) throw new HttpError(400, 'more than one content-length');
  if (lengths === 0) return undefined;
  if (!CONTENT_LENGTH.test(length)) throw new HttpError(400, 'invalid content-length');
  return { kind: 'length', length: Number(length) };
}
