import {
  block,
  END_HEADERS,
  END_STREAM,
  frame,
  get,
  getWith,
  literal,
  request,
  reset,
  settings,
  TYPE,
  u32,
} from './http2_frames.ts';

/** Names of RFC 9113, 7. */
export const CODE = {
  ...{ none: 0, protocol: 1, internal: 2, flowControl: 3, streamClosed: 5, frameSize: 6, refused: 7, cancel: 8 },
  ...{ compression: 9, calm: 11 },
} as const;

/**
 * What hostile clients of HTTP/2 send after the preface, and what becomes of it. Policy lets everybody GET and POST below
 * `/public`. After it comes a last request on stream 99,999: `stays` says that it is answered with 200; else the connection
 * ends, with this GOAWAY. `reset` is the code with which stream 1 is reset. `whole` are requests that the server gets from
 * head to end, besides the last; with `some`, that many at most.
 */
export interface Http2Row {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly ends: 'stays' | number;
  readonly reset?: number;
  readonly whole: readonly string[];
  readonly some?: number;
}

const times = (count: number, make: (n: number) => Uint8Array): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, n) => make(n)));
/** Streams of clients are odd. */
const stream = (n: number): number => 2 * n + 1;
const open = (id: number, lines: Uint8Array = request('/public', 'POST')): Buffer =>
  frame(TYPE.headers, END_HEADERS, id, lines);

const ended = (name: string, bytes: Uint8Array, code: number, some = 0): Http2Row => ({
  ...{ name, bytes, ends: code, whole: [], some },
});
/** The stream is reset, and the server never gets a whole request. */
const resets = (name: string, bytes: Uint8Array, code: number): Http2Row => ({
  ...{ name, bytes, ends: 'stays', reset: code, whole: [] },
});
const passes = (name: string, bytes: Uint8Array, whole: readonly string[]): Http2Row => ({
  ...{ name, bytes, ends: 'stays', whole },
});
const malformed = (name: string, ...lines: [string, string][]): Http2Row =>
  resets(name, getWith(1, block(...lines)), CODE.protocol);
/** The codec drops the line before anybody sees it: policy and the server get the same request. */
const dropped = (name: string, line: [string, string]): Http2Row =>
  passes(`${name}: dropped`, getWith(1, block(line)), ['GET /public']);
const head = (...lines: [string, string][]): Buffer =>
  frame(TYPE.headers, END_STREAM | END_HEADERS, 1, block(...lines));

export const HTTP2_HOSTILE: readonly Http2Row[] = [
  // floods
  ended(
    'streams opened to be reset',
    times(1000, (n) => Buffer.concat([get(stream(n)), reset(stream(n))])),
    CODE.calm,
    250,
  ),
  ended(
    'streams that make the proxy reset them',
    times(1000, (n) => Buffer.concat([open(stream(n)), frame(TYPE.windowUpdate, 0, stream(n), u32(0))])),
    CODE.protocol,
  ),
  ended(
    'CONTINUATION without end',
    Buffer.concat([frame(TYPE.headers, 0, 1, request()), times(1000, () => frame(TYPE.continuation, 0, 1))]),
    CODE.internal,
  ),
  ended(
    'more streams than were granted, again and again',
    times(400, (n) => open(stream(n))),
    CODE.internal,
  ),
  ended('empty DATA without end', Buffer.concat([open(1), times(1000, () => frame(TYPE.data, 0, 1))]), CODE.internal),
  passes(
    'PRIORITY again and again',
    times(5000, () => frame(TYPE.priority, 0, 1, `${u32(3)}\x10`)),
    [],
  ),
  passes(
    'WINDOW_UPDATE again and again',
    times(5000, () => frame(TYPE.windowUpdate, 0, 0, u32(1))),
    [],
  ),
  // heads
  resets(
    'more headers than Envoy takes',
    getWith(
      1,
      times(200, (n) => literal(`x-${n}`, 'y')),
    ),
    CODE.calm,
  ),
  resets(
    'a head that unfolds: one long header, again and again',
    getWith(1, Buffer.concat([literal('x', 'y'.repeat(4000), 0x40), Buffer.alloc(90, 0xbe)])),
    CODE.calm,
  ),
  resets(
    'a long head',
    Buffer.concat([
      frame(TYPE.headers, END_STREAM, 1, request()),
      ...[1, 2, 3, 4].map(() => frame(TYPE.continuation, 0, 1, literal('x', 'y'.repeat(16_000)))),
      frame(TYPE.continuation, END_HEADERS, 1),
    ]),
    CODE.calm,
  ),
  ended(
    'a head that cannot be decompressed',
    frame(TYPE.headers, END_STREAM | END_HEADERS, 1, '\xff\xff'),
    CODE.compression,
  ),
  // what another protocol would read differently
  malformed('a name in upper case', ['X-Y', 'z']),
  dropped('an empty name', ['', 'z']),
  dropped('a name with a colon', ['x:y', 'z']),
  dropped('a line end in a value', ['x', 'y\r\nz: a']),
  dropped('a line end in a name', ['x\r\nz', 'a']),
  dropped('a NUL in a value', ['x', 'y\0z']),
  malformed('transfer-encoding', ['transfer-encoding', 'chunked']),
  malformed('connection', ['connection', 'x']),
  malformed('upgrade', ['upgrade', 'websocket']),
  malformed('two lengths', ['content-length', '0'], ['content-length', '5']),
  malformed('a length that is none', ['content-length', '+0']),
  malformed('a length where there is no body', ['content-length', '5']),
  malformed('a pseudo header after others', ['x', 'y'], [':path', '/secret']),
  malformed('two paths', [':path', '/secret']),
  malformed('a pseudo header that does not exist', [':secret', 'x']),
  resets('a response', head([':status', '200']), CODE.protocol),
  resets('no path', head([':method', 'GET'], [':scheme', 'http'], [':authority', 'a']), CODE.protocol),
  resets(
    'an empty path',
    head([':method', 'GET'], [':scheme', 'http'], [':path', ''], [':authority', 'a']),
    CODE.protocol,
  ),
  resets(
    'an absolute path',
    head([':method', 'GET'], [':scheme', 'http'], [':path', 'http://a/public'], [':authority', 'a']),
    CODE.protocol,
  ),
  resets('no host', head([':method', 'GET'], [':scheme', 'http'], [':path', '/public']), CODE.protocol),
  resets(
    'a host with a space',
    head([':method', 'GET'], [':scheme', 'http'], [':path', '/public'], [':authority', 'a b']),
    CODE.protocol,
  ),
  resets(
    'a path with a space and a version',
    head([':method', 'GET'], [':scheme', 'http'], [':path', '/public HTTP/1.1\r\nx: y'], [':authority', 'a']),
    CODE.protocol,
  ),
  resets(
    'extended CONNECT, which was not offered',
    head(
      [':method', 'CONNECT'],
      [':protocol', 'websocket'],
      [':scheme', 'http'],
      [':path', '/public'],
      [':authority', 'a'],
    ),
    CODE.protocol,
  ),
  ended(
    'a body longer than its length',
    Buffer.concat([
      open(1, Buffer.concat([request('/public', 'POST'), literal('content-length', '3')])),
      frame(TYPE.data, END_STREAM, 1, 'abcd'),
    ]),
    CODE.internal,
  ),
  resets(
    'a body shorter than its length',
    Buffer.concat([
      open(1, Buffer.concat([request('/public', 'POST'), literal('content-length', '3')])),
      frame(TYPE.data, END_STREAM, 1, 'ab'),
    ]),
    CODE.protocol,
  ),
  resets(
    'pseudo headers in trailers',
    Buffer.concat([
      open(1),
      frame(TYPE.data, 0, 1, 'a'),
      frame(TYPE.headers, END_STREAM | END_HEADERS, 1, block([':path', '/secret'])),
    ]),
    CODE.protocol,
  ),
  passes('a path that leaves what is public', get(1, '/public/../secret'), []),
  passes('a path beside what is public', get(1, '/secret'), []),
  passes('a body that is reset before its end', Buffer.concat([open(1), frame(TYPE.data, 0, 1, 'a'), reset(1)]), []),
  passes(
    'a body that is reset as if all were well',
    Buffer.concat([open(1), frame(TYPE.data, 0, 1, 'a'), reset(1, 0)]),
    [],
  ),
  // what is no HTTP/2
  ended('HTTP/1', Buffer.from('GET /public HTTP/1.1\r\nHost: a\r\n\r\n'), CODE.frameSize),
  ended('DATA on no stream', frame(TYPE.data, 0, 0, 'a'), CODE.protocol),
  ended('HEADERS on a stream of the server', get(2), CODE.protocol),
  ended('a stream that was never opened', reset(5), CODE.protocol),
  ended('PUSH_PROMISE', frame(TYPE.pushPromise, END_HEADERS, 1, `${u32(2)}`), CODE.protocol),
  ended('a frame longer than was granted', frame(TYPE.data, 0, 1, 'a'.repeat(16_385)), CODE.frameSize),
  ended('a window beyond all numbers', frame(TYPE.windowUpdate, 0, 0, u32(0x7fffffff)), CODE.flowControl),
  ended('a frame inside a head', Buffer.concat([frame(TYPE.headers, 0, 1, request()), get(3)]), CODE.protocol),
  ended('SETTINGS of half a setting', frame(TYPE.settings, 0, 0, 'abc'), CODE.frameSize),
  ended('a setting out of its range', settings([4, 0x80000000]), CODE.flowControl),
];
