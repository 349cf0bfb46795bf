import {
  type Framing,
  type Headers,
  type HeadPlace,
  HttpError,
  type HttpVersion,
  type RequestStart,
  type ResponseStart,
} from './message.ts';

/** Bytes of a head, and header lines in it. Envoy's defaults. */
export const MAX_HEAD_BYTES = 60 * 1024;
export const MAX_HEADERS = 100;

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const REQUEST_LINE = /^([^ ]+) ([\x21-\x7e]+) HTTP\/1\.([01])$/;
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5][0-9][0-9])(?: (.*))?$/;
const CONTENT_LENGTH = /^[0-9]{1,15}$/;

/** Envoy's HTTP/1 codec knows these and answers 400 to any other. */
const METHODS: ReadonlySet<string> = new Set([
  ...['ACL', 'BIND', 'CHECKOUT', 'CONNECT', 'COPY', 'DELETE', 'GET', 'HEAD', 'LINK', 'LOCK', 'MERGE', 'MKACTIVITY'],
  ...['MKCALENDAR', 'MKCOL', 'MOVE', 'MSEARCH', 'NOTIFY', 'OPTIONS', 'PATCH', 'POST', 'PROPFIND', 'PROPPATCH', 'PURGE'],
  ...['PUT', 'REBIND', 'REPORT', 'SEARCH', 'SOURCE', 'SUBSCRIBE', 'TRACE', 'UNBIND', 'UNLINK', 'UNLOCK', 'UNSUBSCRIBE'],
]);

const FIRST_BYTES: ReadonlySet<number> = new Set([...METHODS].map((method) => method.charCodeAt(0)));

/** As Envoy, look at a request's first byte before its line is complete: what is no HTTP may never end a line. @throws HttpError */
export function checkFirstByte(byte: number): void {
  if (!FIRST_BYTES.has(byte)) throw new HttpError(400, 'unknown method');
}

/** @param lines of the head, without line ends and without the empty one @throws HttpError */
export function readRequestHead(lines: readonly string[], start: number, headEnd: number): RequestStart & HeadPlace {
  const [, method, target, minor] = REQUEST_LINE.exec(lines[0]!) ?? [];
  if (method === undefined || target === undefined) throw new HttpError(400, 'malformed request line');
  if (!METHODS.has(method)) throw new HttpError(400, 'unknown method');
  const version: HttpVersion = minor === '1' ? '1.1' : '1.0';
  const headers = readHeaders(lines, 1);
  return { method, target, version, headers, framing: bodyFraming(headers, version) ?? NO_BODY, start, headEnd };
}

/** @param methodOf the method of the request that a response of this status answers @throws HttpError */
export function readResponseHead(
  lines: readonly string[],
  start: number,
  headEnd: number,
  methodOf: (status: number) => string,
): ResponseStart & HeadPlace {
  const [, minor, code, reason = ''] = STATUS_LINE.exec(lines[0]!) ?? [];
  if (code === undefined || hasControl(reason)) throw new HttpError(400, 'malformed status line');
  const status = Number(code);
  const version: HttpVersion = minor === '1' ? '1.1' : '1.0';
  const headers = readHeaders(lines, 1);
  const declared = bodyFraming(headers, version) ?? { kind: 'untilClose' };
  const bodiless = methodOf(status) === 'HEAD' || status < 200 || status === 204 || status === 304;
  return { status, reason, version, headers, framing: bodiless ? NO_BODY : declared, start, headEnd };
}

const NO_BODY: Framing = { kind: 'none' };

/** Header or trailer lines. @throws HttpError */
export function readHeaders(lines: readonly string[], from = 0): Headers {
  if (lines.length - from > MAX_HEADERS) throw new HttpError(431, 'too many headers');
  const headers: [string, string][] = [];
  for (let at = from; at < lines.length; at++) headers.push(readHeader(lines[at]!));
  return headers;
}

/** What a character may be part of. */
const NAME = 1;
const UPPER = 2;
const VALUE = 4;
const CLASS = Uint8Array.from({ length: 256 }, (_, code) => {
  const char = String.fromCharCode(code);
  const name = TOKEN.test(char) ? NAME : 0;
  return name | (/[A-Z]/.test(char) ? UPPER : 0) | (hasControl(char) ? 0 : VALUE);
});
const [COLON, SPACE, TAB] = [0x3a, 0x20, 0x09];

function readHeader(line: string): [name: string, value: string] {
  let at = 0;
  let seen = 0;
  let code = line.charCodeAt(0);
  if (code === SPACE || code === TAB) throw new HttpError(400, 'folded header line');
  while (at < line.length && (CLASS[code]! & NAME) !== 0) {
    seen |= CLASS[code]!;
    code = line.charCodeAt(++at);
  }
  if (at === 0 || code !== COLON) throw new HttpError(400, 'invalid header name');
  let from = at + 1;
  for (let place = from; place < line.length; place++) {
    if ((CLASS[line.charCodeAt(place)]! & VALUE) === 0) throw new HttpError(400, 'invalid character in a header value');
  }
  let to = line.length;
  while (from < to && isBlank(line.charCodeAt(from))) from++;
  while (to > from && isBlank(line.charCodeAt(to - 1))) to--;
  const name = line.slice(0, at);
  const value = line.slice(from, to);
  return [KNOWN_NAMES.get(name) ?? ((seen & UPPER) === 0 ? name : name.toLowerCase()), value];
}

/** Names as most write them: found faster than made, and all later questions about them are, too. */
const KNOWN_NAMES: ReadonlyMap<string, string> = new Map(
  [
    ...[
      'Accept',
      'Accept-Encoding',
      'Accept-Language',
      'Authorization',
      'Cache-Control',
      'Connection',
      'Content-Length',
    ],
    ...[
      'Content-Type',
      'Cookie',
      'Date',
      'ETag',
      'Expect',
      'Host',
      'Keep-Alive',
      'Last-Modified',
      'Location',
      'Origin',
    ],
    ...[
      'Referer',
      'Server',
      'Set-Cookie',
      'TE',
      'Transfer-Encoding',
      'Upgrade',
      'User-Agent',
      'Vary',
      'X-Forwarded-For',
    ],
    ...['X-Request-Id', 'X-Powered-By'],
  ].flatMap((name) => [
    [name, name.toLowerCase()],
    [name.toLowerCase(), name.toLowerCase()],
  ]),
);

/** Only spaces and tabs: what else JavaScript takes for white space may be part of a value. */
const isBlank = (code: number): boolean => code === SPACE || code === TAB;

/** Control characters other than a tab, DEL among them. */
export function hasControl(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return true;
  }
  return false;
}

/**
 * What the headers say about the body; undefined if nothing. Two opinions about it are one too many: a server behind the
 * proxy might follow the other.
 */
function bodyFraming(headers: Headers, version: HttpVersion): Framing | undefined {
  const codings: string[] = [];
  const lengths: string[] = [];
  for (const [name, value] of headers) {
    if (name === 'transfer-encoding') codings.push(value);
    else if (name === 'content-length') lengths.push(value);
  }
  if (codings.length > 0) {
    if (lengths.length > 0) throw new HttpError(400, 'both content-length and transfer-encoding');
    if (version === '1.0') throw new HttpError(400, 'transfer-encoding in HTTP/1.0');
    if (codings.length > 1 || codings[0]!.toLowerCase() !== 'chunked')
      throw new HttpError(501, 'unsupported transfer encoding');
    return { kind: 'chunked' };
  }
  if (lengths.length > 1) throw new HttpError(400, 'more than one content-length');
  const [length] = lengths;
  if (length === undefined) return undefined;
  if (!CONTENT_LENGTH.test(length)) throw new HttpError(400, 'invalid content-length');
  return { kind: 'length', length: Number(length) };
}
