/**
 * What hostile clients send, and what becomes of it. Policy lets everybody GET and POST below `/public`. Each row is sent on a
 * connection of its own with a last request after it, `GET /public/last` with `connection: close`: its 200 says that the
 * connection survived. `answers` are the status codes the client gets; `seen` is all that the server does, or, if the connection
 * did not survive, all that it may.
 */
export interface HostileRow {
  readonly name: string;
  readonly bytes: string;
  readonly answers: readonly number[];
  readonly seen: readonly string[];
}

const LAST = 'GET /public/last';
const HOST = 'Host: a\r\n';
const get = (target: string, headers = HOST): string => `GET ${target} HTTP/1.1\r\n${headers}\r\n`;
const post = (headers: string, body: string): string => `POST /public HTTP/1.1\r\n${HOST}${headers}\r\n${body}`;
const chunked = (body: string): string => post('Transfer-Encoding: chunked\r\n', body);
const SMUGGLED = 'GET /secret HTTP/1.1\r\nHost: a\r\n\r\n';

const refused = (name: string, bytes: string, status = 400, seen: readonly string[] = []): HostileRow => ({
  ...{ name, bytes, answers: [status], seen },
});
const passes = (name: string, bytes: string, seen: string): HostileRow => ({
  ...{ name, bytes, answers: [200, 200], seen: [seen, LAST] },
});
const answered = (name: string, bytes: string, status: number): HostileRow => ({
  ...{ name, bytes, answers: [status, 200], seen: [LAST] },
});
/** The head was good, and so the server may have seen it; the body was not. */
const brokenBody = (name: string, body: string): HostileRow => refused(name, chunked(body), 400, ['POST /public']);

export const HOSTILE: readonly HostileRow[] = [
  // two opinions about where a request ends
  refused(
    'both lengths: content-length, then chunked',
    post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${SMUGGLED}`),
  ),
  refused(
    'both lengths: chunked, then content-length',
    post('Transfer-Encoding: chunked\r\nContent-Length: 5\r\n', `0\r\n\r\n${SMUGGLED}`),
  ),
  refused('two lengths that differ', post('Content-Length: 5\r\nContent-Length: 6\r\n', `12345${SMUGGLED}`)),
  refused('two lengths that agree', post('Content-Length: 5\r\nContent-Length: 5\r\n', '12345')),
  refused('two lengths in one line', post('Content-Length: 5, 6\r\n', `12345${SMUGGLED}`)),
  refused('a negative length', post('Content-Length: -1\r\n', SMUGGLED)),
  refused('a length with a sign', post('Content-Length: +5\r\n', '12345')),
  refused('a hexadecimal length', post('Content-Length: 0x5\r\n', '12345')),
  refused('a length beyond all numbers', post('Content-Length: 99999999999999999999\r\n', SMUGGLED)),
  refused('an empty length', post('Content-Length: \r\n', SMUGGLED)),
  refused('two codings', post('Transfer-Encoding: gzip, chunked\r\n', `0\r\n\r\n${SMUGGLED}`), 501),
  refused(
    'chunked twice',
    post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${SMUGGLED}`),
    501,
  ),
  refused('identity as coding', post('Transfer-Encoding: identity\r\n', SMUGGLED), 501),
  refused('a coding that only looks like chunked', post('Transfer-Encoding: xchunked\r\n', SMUGGLED), 501),
  refused('a coding with a control character', post('Transfer-Encoding: \x0bchunked\r\n', `0\r\n\r\n${SMUGGLED}`)),
  refused('a space before the colon', post('Transfer-Encoding : chunked\r\n', `0\r\n\r\n${SMUGGLED}`)),
  refused('a space before the name', post(' Transfer-Encoding: chunked\r\n', `0\r\n\r\n${SMUGGLED}`)),
  refused('a folded coding', post('Transfer-Encoding:\r\n chunked\r\n', `0\r\n\r\n${SMUGGLED}`)),
  refused('a folded line', get('/public', `${HOST}X: a\r\n\tb\r\n`)),
  refused(
    'chunked in HTTP/1.0',
    `POST /public HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  ),
  // line ends
  refused('a bare LF after the request line', `GET /public HTTP/1.1\n${HOST}\r\n`),
  refused('a bare LF after a header', get('/public', 'Host: a\nX: b\r\n')),
  refused('a bare LF for the empty line', `GET /public HTTP/1.1\r\n${HOST}\n${SMUGGLED}`),
  refused('a bare CR in a value', get('/public', `${HOST}X: a\rContent-Length: 5\r\n`)),
  refused('a bare CR in the request line', `GET /public\rHTTP/1.1\r\n${HOST}\r\n`),
  refused('CR CR LF', get('/public', `${HOST}X: a\r\r\n`)),
  refused('a NUL in a value', get('/public', `${HOST}X: a\0b\r\n`)),
  refused('a NUL in a name', get('/public', `${HOST}X\0: b\r\n`)),
  refused('a name that is none', get('/public', `${HOST}X[0]: b\r\n`)),
  refused('a line without colon', get('/public', `${HOST}nothing\r\n`)),
  refused('an empty name', get('/public', `${HOST}: b\r\n`)),
  passes('empty lines before a request', `\r\n\r\n${get('/public')}`, 'GET /public'),
  // chunks
  passes('chunk extensions end here', chunked('3;a=b;c="d"\r\nabc\r\n0;last\r\n\r\n'), 'POST /public'),
  passes('trailers end here', chunked('3\r\nabc\r\n0\r\nContent-Length: 5\r\nX: y\r\n\r\n'), 'POST /public'),
  passes('sizes with leading zeros', chunked('0003\r\nabc\r\n000\r\n\r\n'), 'POST /public'),
  brokenBody('a chunk longer than it says', `3\r\nabcd\r\n0\r\n\r\n${SMUGGLED}`),
  brokenBody('a chunk size that is none', `x\r\nabc\r\n0\r\n\r\n${SMUGGLED}`),
  brokenBody('a negative chunk size', `-3\r\nabc\r\n0\r\n\r\n${SMUGGLED}`),
  brokenBody('a chunk size with 0x', `0x3\r\nabc\r\n0\r\n\r\n${SMUGGLED}`),
  brokenBody('a chunk size beyond all numbers', `fffffffffffffffff\r\nabc\r\n0\r\n\r\n${SMUGGLED}`),
  brokenBody('a bare LF after a chunk size', `3\nabc\r\n0\r\n\r\n${SMUGGLED}`),
  brokenBody('a bare LF after a chunk', `3\r\nabc\n0\r\n\r\n${SMUGGLED}`),
  brokenBody('a bare CR in an extension', `3;a\rb\r\nabc\r\n0\r\n\r\n${SMUGGLED}`),
  brokenBody('a chunk line without end', `3;${'a'.repeat(5000)}`),
  brokenBody('a folded trailer', `0\r\nX: y\r\n z\r\n\r\n${SMUGGLED}`),
  // targets
  passes('an absolute target', get('http://b/public'), 'GET /public'),
  {
    name: 'an absolute target to what is not allowed',
    bytes: get('http://a/secret'),
    answers: [403, 200],
    seen: [LAST],
  },
  passes('dot segments', get('/secret/../public'), 'GET /public'),
  passes('escaped dot segments', get('/secret/%2e%2E/public'), 'GET /public'),
  passes('slashes in a row', get('//public//a'), 'GET /public/a'),
  passes('escapes of plain characters', get('/%70ublic'), 'GET /public'),
  answered('dot segments out of what is allowed', get('/public/../secret'), 403),
  answered('escaped dot segments out of it', get('/public/%2e%2e/secret'), 403),
  answered('a backslash out of it', get('/public\\..\\secret'), 403),
  answered('an escaped slash', get('/public%2f..%2fsecret'), 307),
  answered('an escaped backslash', get('/public%5c..%5csecret'), 307),
  answered('a doubly escaped slash is a name, and so denied', get('/secret%252f..%252fpublic'), 403),
  answered('a path parameter', get('/;/public'), 403),
  refused('an escaped NUL', get('/public%00')),
  refused('a fragment', get('/public#/../secret')),
  refused('a target without slash', get('public')),
  refused('another scheme', get('file:///public')),
  refused('an authority as target', get('a:80')),
  refused('bytes beyond ASCII in the target', get('/public\xff')),
  refused('a tab in the request line', `GET\t/public HTTP/1.1\r\n${HOST}\r\n`),
  refused('two spaces in the request line', `GET  /public HTTP/1.1\r\n${HOST}\r\n`),
  refused('a third word in the request line', `GET /public /secret HTTP/1.1\r\n${HOST}\r\n`),
  // hosts, methods, versions
  refused('no host', get('/public', 'X: y\r\n')),
  refused('two hosts', get('/public', `${HOST}Host: b\r\n`)),
  refused('a host with a slash', get('/public', 'Host: a/../b\r\n')),
  refused('a host with a space', get('/public', 'Host: a b\r\n')),
  refused('a method in lower case', `get /public HTTP/1.1\r\n${HOST}\r\n`),
  refused('a method nobody knows', `GETS /public HTTP/1.1\r\n${HOST}\r\n`),
  refused('HTTP/0.9', 'GET /public\r\n\r\n'),
  refused('HTTP/1.2', `GET /public HTTP/1.2\r\n${HOST}\r\n`),
  refused('HTTP/1.0', `GET /public HTTP/1.0\r\n${HOST}\r\n`, 426),
  refused('what begins like the preface of HTTP/2', 'PRI * HTTP/1.1\r\nHost: a\r\n\r\nSM\r\n\r\n'),
  {
    name: 'the preface of HTTP/2, too late',
    bytes: `${get('/public')}PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`,
    answers: [200, 400],
    seen: ['GET /public'],
  },
  refused('TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'),
  refused('CONNECT', 'CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n', 403),
  refused('an upgrade', get('/public', `${HOST}Connection: upgrade\r\nUpgrade: websocket\r\n`), 403),
  // headers that steer
  refused('content-length named as hop by hop', post('Connection: content-length\r\nContent-Length: 33\r\n', SMUGGLED)),
  refused(
    'transfer-encoding named as hop by hop',
    post('Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
  ),
  refused('host named as hop by hop', get('/public', `${HOST}Connection: host\r\n`)),
  refused('eleven headers named as hop by hop', get('/public', `${HOST}Connection: ${'x,'.repeat(10)}x\r\n`)),
  answered(
    'a method override that nobody here knows',
    get('/secret', `${HOST}X-HTTP-Method-Override: GET\r\nX-Original-URL: /public\r\n`),
    403,
  ),
  // bombs
  refused('a hundred and one headers', get('/public', `${HOST}${'X: y\r\n'.repeat(100)}`), 431),
  refused('a head of 61 KiB', get('/public', `${HOST}X: ${'y'.repeat(61 * 1024)}\r\n`), 431),
  refused('a request line of 61 KiB', get(`/public${'a'.repeat(61 * 1024)}`), 431),
  refused('a head of 61 KiB without line end', `GET /${'a'.repeat(61 * 1024)}`, 431),
  refused('trailers of 61 KiB', chunked(`0\r\nX: ${'y'.repeat(61 * 1024)}\r\n\r\n`), 431, ['POST /public']),
  // pipelines
  {
    name: 'an allowed request does not open the way for the next',
    bytes: get('/public') + SMUGGLED + get('/public/b'),
    answers: [200, 403, 200, 200],
    seen: ['GET /public', 'GET /public/b', LAST],
  },
  refused(
    'a denied request with a body ends the connection',
    `POST /secret HTTP/1.1\r\n${HOST}Content-Length: 40\r\n\r\n${get('/public')}`,
    403,
  ),
];
