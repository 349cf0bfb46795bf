import type { OutgoingHttpHeaders } from 'node:http2';
import type { Headers } from '../http1/message.ts';

/** What node:http2 calls raw headers: name, value, name, value; pseudo headers, in whatever order, come first. */
export type RawHeaders = readonly string[];

export interface Block {
  /** By name, with the colon. Those that make no sense for a request or a response the codec has refused. */
  readonly pseudo: Readonly<Record<string, string | undefined>>;
  readonly headers: Headers;
}

/** RFC 9113, 6.5.2, SETTINGS_MAX_HEADER_LIST_SIZE. */
export const listBytes = (raw: RawHeaders): number => raw.reduce((sum, text) => sum + text.length, raw.length * 16);

/** Cookies that came in pieces are one line again, as Envoy's codec has it (RFC 9113, 8.2.3). */
export function readBlock(raw: RawHeaders): Block {
  const pseudo: Record<string, string> = {};
  const headers: [string, string][] = [];
  let cookie: [string, string] | undefined;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!;
    const value = raw[at + 1]!;
    if (name.startsWith(':')) pseudo[name] = value;
    else if (name === 'cookie' && cookie !== undefined) cookie[1] += `; ${value}`;
    else {
      const line: [string, string] = [name, value];
      if (name === 'cookie') cookie = line;
      headers.push(line);
    }
  }
  return { pseudo, headers };
}

/** Of one connection, and so no business of the next; `te` only says `trailers` here. */
const NOT_HTTP2: ReadonlySet<string> = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'http2-settings', 'host'],
]);

const belongs = ([name, value]: Headers[number]): boolean =>
  !NOT_HTTP2.has(name) && (name !== 'te' || value === 'trailers');

/** @param pseudo in their order, with the colon */
export function writeBlock(pseudo: Headers, headers: Headers): string[] {
  const raw: string[] = [];
  for (const [name, value] of pseudo) raw.push(name, value);
  for (const line of headers) if (belongs(line)) raw.push(...line);
  return raw;
}

/** As `sendTrailers` wants them. */
export function trailerObject(trailers: Headers): OutgoingHttpHeaders {
  const out: Record<string, string[]> = Object.create(null);
  for (const [name, value] of trailers.filter(belongs)) {
    out[name] ??= [];
    out[name].push(value);
  }
  return out;
}
