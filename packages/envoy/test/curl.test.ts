import { execFile, execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ProxyServer } from '../src/index.ts';
import { http2Server } from './http2_support.ts';
import { httpServer, LOOPBACK, liveProxy, Scope } from './live_support.ts';
import { ALLIANCE, connection, EMPIRE, LANDING, policyOf } from './support.ts';

/** Not an identity: the listener whose server speaks HTTP/2. */
const EMPIRE_HTTP2 = -1;

function hasCurl(): boolean {
  try {
    execFileSync('curl', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** What a real client makes of it, through listeners that take every connection for one of the empire's, or the alliance's. */
describe.skipIf(!hasCurl())('curl', () => {
  const scope = new Scope();
  const ports = new Map<number, number>();
  beforeAll(async () => {
    const server = await httpServer(scope, (_request, response) => response.end('Ship landed\n'));
    const server2 = await http2Server(scope, (stream) => {
      stream.respond({ ':status': 200 });
      stream.end('Ship landed\n');
    });
    const rules = LANDING.ingressPerPortPolicies![0]!.rules!;
    const { proxy } = await liveProxy(scope, [policyOf(rules, 0)]);
    for (const remoteIdentity of [EMPIRE, ALLIANCE]) {
      ports.set(remoteIdentity, await listen(proxy, `as-${remoteIdentity}`, server, remoteIdentity));
    }
    ports.set(EMPIRE_HTTP2, await listen(proxy, 'http2', server2, EMPIRE));
  });
  afterAll(() => scope.close());

  const listen = (proxy: ProxyServer, name: string, port: number, remoteIdentity: number): Promise<number> => {
    const assumed = connection({ remoteIdentity, destination: { ip: LOOPBACK, port } });
    return proxy.listen({ name, assume: { connection: assumed, via: undefined } });
  };

  const curl = (identity: number, ...args: string[]) =>
    new Promise<{ exit: number; out: string }>((resolve) => {
      const [path = '', ...options] = args.reverse();
      const url = `http://127.0.0.1:${ports.get(identity)}${path}`;
      execFile('curl', ['-s', '--path-as-is', '-w', ' %{http_code}', ...options.reverse(), url], (error, out) =>
        resolve({ exit: Number(error?.code ?? 0), out }),
      );
    });

  test.each([
    ['is answered by the server', EMPIRE, ['-XPOST', '/v1/request-landing'], { exit: 0, out: 'Ship landed\n 200' }],
    ['is told 403 on another path', EMPIRE, ['-XPUT', '/v1/exhaust-port'], { exit: 0, out: 'Access denied\r\n 403' }],
    [
      'is told 403 behind dot segments',
      EMPIRE,
      ['-XPOST', '/v1/request-landing/../exhaust-port'],
      { exit: 0, out: 'Access denied\r\n 403' },
    ],
    [
      'is sent on to the plain path',
      EMPIRE,
      ['-XPOST', '-L', '--post302', '/v1%2Frequest-landing'],
      { exit: 0, out: 'Ship landed\n 200' },
    ],
    [
      'sends a body in chunks',
      EMPIRE,
      ['-HTransfer-Encoding: chunked', '-HExpect: 100-continue', '-dX', '/v1/request-landing'],
      { exit: 0, out: 'Ship landed\n 200' },
    ],
    [
      'speaks HTTP/2',
      EMPIRE_HTTP2,
      ['--http2-prior-knowledge', '-XPOST', '/v1/request-landing'],
      { exit: 0, out: 'Ship landed\n 200' },
    ],
    [
      'is told 403 in HTTP/2, too, whatever it has to say',
      EMPIRE_HTTP2,
      ['--http2-prior-knowledge', '-XPUT', `-d${'x'.repeat(100_000)}`, '/v1/exhaust-port'],
      { exit: 0, out: 'Access denied\r\n 403' },
    ],
    [
      'that asks for an upgrade to HTTP/2 goes on in HTTP/1',
      EMPIRE,
      ['--http2', '-XPOST', '/v1/request-landing'],
      { exit: 0, out: 'Ship landed\n 200' },
    ],
  ])('%s', async (_name, identity, args, want) => {
    expect(await curl(identity, ...args)).toEqual(want);
  });

  test('is reset if no rule names it: exit 56, or 7 if it had not yet seen that it was connected', async () => {
    const { exit, out } = await curl(ALLIANCE, '-XPOST', '/v1/request-landing');
    expect([56, 7]).toContain(exit);
    expect(out).toBe(' 000');
  });
});
