import { afterEach, describe, expect, test } from 'vitest';
import { ask, http2Client, http2Server } from './http2_support.ts';
import { liveProxy, PATIENT, Scope } from './live_support.ts';
import { ALLIANCE, httpRules, policyOf } from './support.ts';

const scope = new Scope();
afterEach(() => scope.close());

const RULES = httpRules({ method: 'POST', path: '/v1/request-landing' }, { path: '/public.*' });
const POLICY = policyOf([{ name: 'deathstar', remotePolicies: [1001], httpRules: RULES }], 0);
const LAND = { ':method': 'POST', ':path': '/v1/request-landing' };
const EXHAUST = { ':method': 'PUT', ':path': '/v1/exhaust-port' };

async function deathstar(options = {}) {
  const seen: string[] = [];
  const server = await http2Server(scope, (stream, headers) => {
    seen.push(`${headers[':method']} ${headers[':path']}`);
    stream.resume().on('end', () => {
      stream.respond({ ':status': 200 });
      stream.end('Ship landed\n');
    });
  });
  const live = await liveProxy(scope, [POLICY], {onWorkerDied: (e)=>console.log('DIED',e), ...options});
  return { ...live, seen, server, client: (over = {}) => http2Client(scope, live.port, server, over) };
}

describe('a connection that begins with the preface of HTTP/2', () => {
  test('each stream is judged by itself, under the rules for all HTTP, and logged as HTTP/2', async () => {
    const { client, seen, log } = await deathstar();
    const xwing = client();
    const answers = await Promise.all([LAND, EXHAUST, LAND].map((headers) => ask(xwing, headers)));
    expect(answers.map(({ status, body, code }) => [status, body, code])).toEqual([
      [200, 'Ship landed\n', 0],
      [403, 'Access denied\r\n', 0],
      [200, 'Ship landed\n', 0],
    ]);
    expect(seen).toEqual(['POST /v1/request-landing', 'POST /v1/request-landing']);
    await expect.poll(() => log.length, PATIENT).toBe(6);
    console.log(answers[0], answers[1], log[0]);
  });
  test('who may not connect is reset', async () => {
    const { client, seen } = await deathstar();
    const answer = await ask(client({ remoteIdentity: ALLIANCE }), LAND);
    expect(answer.status).toBeUndefined();
    expect(seen).toEqual([]);
  });
});
