import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ProxyAction, type ProxyCore, RequestDecoder, ResponseDecoder } from '../src/index.ts';
import { bytes, connection, coreWith, EMPIRE, httpRules, NOW, policyOf, seed, show, text } from './support.ts';

console.log(`seed ${seed}`);

const POLICY = policyOf([{ name: 'a', remotePolicies: [EMPIRE], httpRules: httpRules({ path: '/a.*' }) }]);
const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

interface Request {
  readonly path: string;
  readonly method: string;
  readonly body: string | undefined;
  readonly chunked: boolean;
}

const request: fc.Arbitrary<Request> = fc.record({
  path: fc.constantFrom('/a', '/a/b?c', '/b', '/x/../a', '/b%2Fa'),
  method: fc.constantFrom('GET', 'POST', 'HEAD'),
  body: fc.option(fc.string({ maxLength: 20 }), { nil: undefined }),
  chunked: fc.boolean(),
});

function wire({ path, method, body, chunked }: Request): string {
  const head = `${method} ${path} HTTP/1.1\r\nHost: a\r\n`;
  if (body === undefined) return `${head}\r\n`;
  const { length } = Buffer.from(body);
  if (!chunked) return `${head}Content-Length: ${length}\r\n\r\n${text(Buffer.from(body))}`;
  const chunks = length === 0 ? '' : `${length.toString(16)}\r\n${text(Buffer.from(body))}\r\n`;
  return `${head}Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`;
}

const garbage = fc.constantFrom('', 'GET\n', 'X / HTTP/1.1\r\n\r\n', 'GET /a HTTP/1.1\r\n\r\n', '\r\n\r\nGET /a HT');
const stream = fc.tuple(fc.array(request, { maxLength: 5 }), garbage);
const cuts = fc.array(fc.nat({ max: 1000 }), { maxLength: 20 });

function segments(value: string, places: readonly number[]): string[] {
  const sorted = [...places.map((place) => place % (value.length + 1)), 0, value.length].sort((a, b) => a - b);
  return sorted.slice(1).map((end, index) => value.slice(sorted[index], end));
}

/** Plays a client's segments against a server that answers each complete request at once. */
function play(core: ProxyCore, parts: readonly string[]) {
  const all: ProxyAction[] = core.open(connection(), NOW);
  const served: string[] = [];
  let server = new RequestDecoder();
  const perform = (actions: ProxyAction[]): void => {
    all.push(...actions);
    for (const action of actions) {
      if (action.type === 'closeUpstream') server = new RequestDecoder();
      if (action.type !== 'upstream') continue;
      for (const { method, target } of server.feed(action.bytes)) {
        served.push(`${method} ${target}`);
        const answer = method === 'HEAD' ? ANSWER.slice(0, -2) : ANSWER;
        perform(core.data(1, 'upstream', bytes(answer), NOW));
      }
    }
  };
  for (const part of parts) perform(core.data(1, 'downstream', bytes(part), NOW));
  return { all, served };
}

test('however a client cuts its bytes into segments, the same is done', () => {
  fc.assert(
    fc.property(stream, cuts, ([requests, end], places) => {
      const value = requests.map(wire).join('') + end;
      const whole = play(coreWith(POLICY), [value]);
      const cut = play(coreWith(POLICY), segments(value, places));
      expect(show(cut.all)).toEqual(show(whole.all));
      expect(cut.served).toEqual(whole.served);
    }),
    { seed, numRuns: 500 },
  );
});

test('each request is judged by itself, in order: the server gets the allowed ones, the client an answer to each', () => {
  fc.assert(
    fc.property(fc.array(request, { maxLength: 6 }), cuts, (requests, places) => {
      const { all, served } = play(coreWith(POLICY), segments(requests.map(wire).join(''), places));
      // The model: what the proxy answers itself, before all of the request came, ends the connection.
      const want: { status: number; forwarded: string[] }[] = [];
      for (const { path, method, body, chunked } of requests) {
        const bodiless = body === undefined || (body === '' && !chunked);
        const escaped = path.includes('%2F');
        const pass = !escaped && path !== '/b';
        const forwarded = path === '/x/../a' ? '/a' : path;
        want.push({ status: pass ? 200 : escaped ? 307 : 403, forwarded: pass ? [`${method} ${forwarded}`] : [] });
        if (!pass && !bodiless) break;
      }
      expect(served).toEqual(want.flatMap(({ forwarded }) => forwarded));
      const client = new ResponseDecoder();
      for (const { method } of requests) client.expect(method);
      const responses = all.flatMap((action) => (action.type === 'downstream' ? client.feed(action.bytes) : []));
      expect(client.error).toBeUndefined();
      expect(responses.map(({ status }) => status)).toEqual(want.map(({ status }) => status));
    }),
    { seed, numRuns: 500 },
  );
});

test('no bytes whatever make the parser fail otherwise than by its own error', () => {
  const alphabet = fc.constantFrom(
    'GET /a HTTP/1.1',
    '\r\n',
    '\r',
    '\n',
    ': ',
    'Host',
    'a',
    ' ',
    '0',
    '5',
    ';',
    '\0',
    '\xff',
  );
  const lines = fc.array(alphabet, { maxLength: 60 }).map((words) => words.join(''));
  const header = fc.constantFrom('', 'GET /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
  fc.assert(
    fc.property(header, lines, cuts, (head, rest, places) => {
      const whole = play(coreWith(POLICY), [head + rest]);
      const cut = play(coreWith(POLICY), segments(head + rest, places));
      expect(show(cut.all)).toEqual(show(whole.all));
    }),
    { seed, numRuns: 500 },
  );
});
