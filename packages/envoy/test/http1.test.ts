import { describe, expect, test } from 'vitest';
import { RequestDecoder, RequestParser, ResponseDecoder } from '../src/index.ts';
import { bytes } from './support.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const post = (headers: string, body = ''): string => `POST / HTTP/1.1\r\nHost: a\r\n${headers}\r\n${body}`;

/** All of a stream at once, and byte by byte: both must give the same. */
function decode(stream: string) {
  const whole = new RequestDecoder();
  const requests = whole.feed(bytes(stream));
  const slow = new RequestDecoder();
  const oneByOne = [...bytes(stream)].flatMap((byte) => slow.feed(new Uint8Array([byte])));
  expect(oneByOne).toEqual(requests);
  expect(slow.error).toEqual(whole.error);
  return { requests, error: whole.error && `${whole.error.status} ${whole.error.message}` };
}

describe('requests', () => {
  test('have method, target, headers and their place in the stream', () => {
    const stream = `\r\n\r\n${GET}${post('Content-Length: 3\r\nX-A:  b \t\r\nx-a:\r\n', 'abc')}${GET}`;
    const { requests, error } = decode(stream);
    expect(error).toBeUndefined();
    expect(requests.map(({ start, headEnd, end }) => [start, headEnd, end])).toEqual([
      [4, 4 + GET.length, 4 + GET.length],
      [4 + GET.length, stream.length - GET.length - 3, stream.length - GET.length],
      [stream.length - GET.length, stream.length, stream.length],
    ]);
    expect(requests[1]).toMatchObject({
      method: 'POST',
      target: '/',
      version: '1.1',
      headers: [
        ['host', 'a'],
        ['content-length', '3'],
        ['x-a', 'b'],
        ['x-a', ''],
      ],
      framing: { kind: 'length', length: 3 },
      trailers: [],
    });
  });

  test('in chunks end after their trailers', () => {
    const body = '3;ext="a\tb"\r\nabc\r\nA\r\n0123456789\r\n000\r\nX-Sum: 1\r\n\r\n';
    const stream = post('Transfer-Encoding: CHUNKED\r\n', body);
    const { requests } = decode(stream + GET);
    expect(requests[0]).toMatchObject({ framing: { kind: 'chunked' }, end: stream.length, trailers: [['x-sum', '1']] });
    expect(requests).toHaveLength(2);
  });

  const accepted: [name: string, stream: string][] = [
    ['HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n'],
    ['a target that is no path', 'OPTIONS * HTTP/1.1\r\n\r\n'],
    ['a header with bytes above 127', 'GET / HTTP/1.1\r\nX: \xe4\r\n\r\n'],
    ['content-length 0', post('Content-Length: 0\r\n')],
    ['100 headers', `GET / HTTP/1.1\r\n${'a: b\r\n'.repeat(100)}\r\n`],
    ['a head of 60 kB', `GET / HTTP/1.1\r\nX: ${'a'.repeat(60 * 1024 - 23)}\r\n\r\n`],
  ];
  test.each(accepted)('%s is accepted', (_name, stream) => {
    const { requests, error } = decode(stream);
    expect(error).toBeUndefined();
    expect(requests.at(-1)?.end).toBe(stream.length);
  });

  const chunked = (body: string): string => post('Transfer-Encoding: chunked\r\n', body);
  const refused: [name: string, stream: string, error: string][] = [
    ['both framings', post('Content-Length: 3\r\nTransfer-Encoding: chunked\r\n'), '400 both content-length'],
    ['differing lengths', post('Content-Length: 3\r\nContent-Length: 4\r\n'), '400 more than one content-length'],
    ['a length twice', post('Content-Length: 3\r\nContent-Length: 3\r\n'), '400 more than one content-length'],
    ['a list of lengths', post('Content-Length: 3, 3\r\n'), '400 invalid content-length'],
    ['a signed length', post('Content-Length: +3\r\n'), '400 invalid content-length'],
    ['a negative length', post('Content-Length: -1\r\n'), '400 invalid content-length'],
    ['a length beyond counting', post('Content-Length: 9999999999999999\r\n'), '400 invalid content-length'],
    ['an unknown coding', post('Transfer-Encoding: gzip, chunked\r\n'), '501 unsupported transfer encoding'],
    ['chunked twice', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n'), '501 unsupported'],
    ['a coding with a twist', post('Transfer-Encoding: \x0bchunked\r\n'), '400 invalid character'],
    [
      'a coding in HTTP/1.0',
      'GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n',
      '400 transfer-encoding in HTTP/1.0',
    ],
    ['a folded line', 'GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n', '400 folded header line'],
    ['a space before the colon', 'GET / HTTP/1.1\r\nA : b\r\n\r\n', '400 invalid header name'],
    ['a header without colon', 'GET / HTTP/1.1\r\nA\r\n\r\n', '400 invalid header name'],
    ['a header without name', 'GET / HTTP/1.1\r\n: b\r\n\r\n', '400 invalid header name'],
    ['a header name beyond ASCII', 'GET / HTTP/1.1\r\n\xe4: b\r\n\r\n', '400 invalid header name'],
    ['a NUL in a value', 'GET / HTTP/1.1\r\nA: b\0\r\n\r\n', '400 invalid character in a header value'],
    ['LF alone after the request line', 'GET / HTTP/1.1\nA: b\r\n\r\n', '400 CR and LF apart'],
    ['LF alone after a header', 'GET / HTTP/1.1\r\nA: b\n\r\n', '400 CR and LF apart'],
    ['LF alone at the end of the head', 'GET / HTTP/1.1\r\nA: b\r\n\n', '400 CR and LF apart'],
    ['LF alone before a request', '\nGET / HTTP/1.1\r\n\r\n', '400 unknown method'],
    ['CR alone before a request', '\rGET / HTTP/1.1\r\n\r\n', '400 CR without LF'],
    ['CR inside a line', 'GET / HTTP/1.1\r\nA: b\rc\r\n\r\n', '400 CR and LF apart'],
    ['two spaces in the request line', 'GET  / HTTP/1.1\r\n\r\n', '400 malformed request line'],
    ['a space in the target', 'GET /a b HTTP/1.1\r\n\r\n', '400 malformed request line'],
    ['a tab in the request line', 'GET\t/ HTTP/1.1\r\n\r\n', '400 malformed request line'],
    ['a target beyond ASCII', 'GET /\xe4 HTTP/1.1\r\n\r\n', '400 malformed request line'],
    ['no version', 'GET /\r\n\r\n', '400 malformed request line'],
    ['HTTP/2 in the clear', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '400 malformed request line'],
    ['an unknown method', 'get / HTTP/1.1\r\n\r\n', '400 unknown method'],
    ['TLS, known by its first byte', '\x16\x03\x01\x02\0\x01', '400 unknown method'],
    ['101 headers', `GET / HTTP/1.1\r\n${'a: b\r\n'.repeat(101)}\r\n`, '431 too many headers'],
    ['a head above 60 kB', `GET / HTTP/1.1\r\nX: ${'a'.repeat(60 * 1024 - 22)}\r\n\r\n`, '431 head too large'],
    ['a line that never ends', `GET /${'a'.repeat(60 * 1024)}`, '431 head too large'],
    ['a chunk size that is none', chunked('x\r\n'), '400 malformed chunk size'],
    ['a chunk size in C notation', chunked('0x3\r\nabc\r\n'), '400 malformed chunk size'],
    ['a chunk size with a space', chunked('3 \r\nabc\r\n'), '400 malformed chunk size'],
    ['a chunk size beyond counting', chunked('fffffffffffff\r\n'), '400 malformed chunk size'],
    ['a chunk longer than announced', chunked('3\r\nabcd\r\n'), '400 chunk too long'],
    ['LF alone after a chunk size', chunked('3\nabc\r\n'), '400 CR and LF apart'],
    ['LF alone after a chunk', chunked('3\r\nabc\n0\r\n\r\n'), '400 chunk too long'],
    ['an extension without end', chunked(`3;${'a'.repeat(5000)}`), '400 chunk line too long'],
    ['a trailer that is no header', chunked('0\r\na b: c\r\n\r\n'), '400 invalid header name'],
    ['trailers above 60 kB', chunked(`0\r\nX: ${'a'.repeat(60 * 1024)}\r\n\r\n`), '431 head too large'],
  ];
  test.each(refused)('%s: refused', (_name, stream, want) => {
    const { requests, error } = decode(stream);
    expect(requests).toEqual([]);
    expect(error).toContain(want);
  });

  test('before a bad one still count, after it none do', () => {
    const { requests, error } = decode(`${GET}BAD\r\n\r\n${GET}`);
    expect(requests).toHaveLength(1);
    expect(error).toBe('400 malformed request line');
  });

  test('give their bodies piece by piece, without the chunks around them', () => {
    const parser = new RequestParser();
    parser.push(bytes(post('Transfer-Encoding: chunked\r\n', '3\r\nab')));
    const events = [];
    for (let event = parser.next(); event !== undefined; event = parser.next()) events.push(event);
    expect(events.slice(1)).toEqual([
      { type: 'chunk', size: 3 },
      { type: 'data', bytes: Buffer.from('ab') },
    ]);
  });
});

describe('responses', () => {
  const ok = (headers: string, body = ''): string => `HTTP/1.1 200 OK\r\n${headers}\r\n${body}`;

  /** As `decode`; `$` in the stream's end closes it. */
  function respond(methods: string[], stream: string, closes = false) {
    const decoders = [new ResponseDecoder(), new ResponseDecoder()] as const;
    for (const decoder of decoders) for (const method of methods) decoder.expect(method);
    const responses = decoders[0].feed(bytes(stream));
    const oneByOne = [...bytes(stream)].flatMap((byte) => decoders[1].feed(new Uint8Array([byte])));
    if (closes) responses.push(...decoders[0].finish());
    if (closes) oneByOne.push(...decoders[1].finish());
    expect(oneByOne).toEqual(responses);
    expect(decoders[1].error).toEqual(decoders[0].error);
    return { ends: responses.map(({ status, end }) => [status, end]), error: decoders[0].error?.message };
  }

  const continued = 'HTTP/1.1 100 Continue\r\n\r\n';
  const head = ok('Content-Length: 5\r\n');
  const scenarios: [name: string, methods: string[], stream: string, closes: boolean, ends: [number, number][]][] = [
    ['a length', ['GET'], ok('Content-Length: 3\r\n', 'abc'), false, [[200, 41]]],
    ['chunks', ['GET'], ok('Transfer-Encoding: chunked\r\n', '1\r\na\r\n0\r\n\r\n'), false, [[200, 58]]],
    ['an answer to HEAD has no body', ['HEAD', 'GET'], head + head, false, [[200, head.length]]],
    ['204 has no body', ['GET'], 'HTTP/1.1 204 No Content\r\n\r\n', false, [[204, 27]]],
    ['304 has none, whatever its length', ['GET'], 'HTTP/1.1 304 \r\nContent-Length: 9\r\n\r\n', false, [[304, 36]]],
    ['a status line without reason', ['GET'], 'HTTP/1.1 204\r\n\r\n', false, [[204, 16]]],
    ['no length: until the end', ['GET'], ok('', 'abc'), true, [[200, 22]]],
    ['no length, no end: not complete', ['GET'], ok('', 'abc'), false, []],
    [
      'an interim response belongs to the same request',
      ['GET'],
      continued + ok('Content-Length: 0\r\n'),
      false,
      [
        [100, continued.length],
        [200, continued.length + 38],
      ],
    ],
  ];
  test.each(scenarios)('%s', (_name, methods, stream, closes, ends) => {
    expect(respond(methods, stream, closes)).toEqual({ ends, error: undefined });
  });

  const refused: [name: string, methods: string[], stream: string, closes: boolean, error: string][] = [
    ['to no request', [], ok('Content-Length: 0\r\n'), false, 'response to no request'],
    ['that switches protocols', ['GET'], 'HTTP/1.1 101 Switching\r\n\r\n', false, 'protocol switch'],
    [
      'with both framings',
      ['GET'],
      ok('Content-Length: 1\r\nTransfer-Encoding: chunked\r\n'),
      false,
      'both content-length',
    ],
    ['that are not HTTP', ['GET'], 'SSH-2.0-OpenSSH\r\n\r\n', false, 'malformed status line'],
    ['with a status beyond 599', ['GET'], 'HTTP/1.1 600 X\r\n\r\n', false, 'malformed status line'],
    ['cut off', ['GET'], ok('Content-Length: 5\r\n', 'abc'), true, 'the stream ends inside a message'],
    ['cut off in the head', ['GET'], 'HTTP/1.1 20', true, 'the stream ends inside a message'],
  ];
  test.each(refused)('%s: refused', (_name, methods, stream, closes, want) => {
    expect(respond(methods, stream, closes).error).toContain(want);
  });
});
