import { KnownWords } from './known_words.ts';
import { type Headers, HttpError } from './message.ts';

/** Header lines of a head. Envoy's default. */
export const MAX_HEADERS = 100;

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]$/;

/** What a character may be part of. */
const NAME = 1;
const UPPER = 2;
const VALUE = 4;
const CLASS = Uint8Array.from({ length: 256 }, (_, code) => {
  const char = String.fromCharCode(code);
  const name = TOKEN.test(char) ? NAME : 0;
  return name | (/[A-Z]/.test(char) ? UPPER : 0) | (hasControl(char) ? 0 : VALUE);
});
const [COLON, SPACE, TAB, CR, LF] = [0x3a, 0x20, 0x09, 0x0d, 0x0a];

/**
 * Header or trailer lines. Characters are looked at as bytes, which is several times faster than in a string; names and values
 * are parts of the text.
 * @param bytes from `at` on whole lines up to an empty one, which ends at `end` @param text the same, one char a byte
 * @param offset in `bytes` of the text's first char @throws HttpError
 */
export function readHeaderLines(bytes: Uint8Array, text: string, offset: number, at: number, end: number): Headers {
  const headers: [string, string][] = [];
  const last = end - 2;
  let place = at;
  while (place < last) {
    const start = place;
    let code = bytes[place]!;
    let seen = 0;
    while ((CLASS[code]! & NAME) !== 0) {
      seen |= CLASS[code]!;
      code = bytes[++place]!;
    }
    if (place === start && isBlank(code)) throw new HttpError(400, 'folded header line');
    if (place === start || code !== COLON) throw new HttpError(400, 'invalid header name');
    const name =
      KNOWN_NAMES.find(bytes, start, place) ??
      lowerCase(text.slice(start - offset, place - offset), (seen & UPPER) !== 0);
    do code = bytes[++place]!;
    while (isBlank(code));
    const from = place;
    while (isText(code)) code = bytes[++place]!;
    if (code !== CR || bytes[place + 1] !== LF) throw new HttpError(400, 'invalid character in a header value');
    let to = place;
    while (to > from && isBlank(bytes[to - 1]!)) to--;
    if (headers.length === MAX_HEADERS) throw new HttpError(431, 'too many headers');
    headers.push([name, text.slice(from - offset, to - offset)]);
    place += 2;
  }
  return headers;
}

const lowerCase = (name: string, hasUpper: boolean): string => (hasUpper ? name.toLowerCase() : name);

/** Names as most headers have them. */
const KNOWN_NAMES = new KnownWords(
  [
    ...[
      'accept',
      'accept-encoding',
      'accept-language',
      'authorization',
      'cache-control',
      'connection',
      'content-length',
    ],
    ...['content-encoding', 'content-type', 'cookie', 'date', 'etag', 'expect', 'host', 'if-modified-since'],
    ...[
      'if-none-match',
      'keep-alive',
      'last-modified',
      'location',
      'origin',
      'pragma',
      'referer',
      'server',
      'set-cookie',
    ],
    ...['te', 'traceparent', 'tracestate', 'transfer-encoding', 'upgrade', 'user-agent', 'vary', 'x-forwarded-for'],
    ...['x-forwarded-host', 'x-forwarded-proto', 'x-powered-by', 'x-request-id'],
  ],
  true,
);

/** Only spaces and tabs: what else JavaScript takes for white space may be part of a value. */
const isBlank = (code: number): boolean => code === SPACE || code === TAB;

/** May a header's value have it? */
export const isText = (code: number): boolean => (CLASS[code]! & VALUE) !== 0;

/** Control characters other than a tab, DEL among them. */
export function hasControl(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return true;
  }
  return false;
}
