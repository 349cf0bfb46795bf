import { execFile, execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { httpServer, LOOPBACK, liveProxy, Scope } from './live_support.ts';
import { ALLIANCE, connection, EMPIRE, LANDING, policyOf } from './support.ts';

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
    const rules = LANDING.ingressPerPortPolicies![0]!.rules!;
    const { proxy } = await liveProxy(scope, [policyOf(rules, 0)]);
    for (const remoteIdentity of [EMPIRE, ALLIANCE]) {
      const assumed = connection({ remoteIdentity, destination: { ip: LOOPBACK, port: server } });
      ports.set(
        remoteIdentity,
        await proxy.listen({ name: `as-${remoteIdentity}`, assume: { connection: assumed, via: undefined } }),
      );
    }
  });
  afterAll(() => scope.close());

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
  ])('%s', async (_name, identity, args, want) => {
    expect(await curl(identity, ...args)).toEqual(want);
  });

  test('is reset if no rule names it: exit 56, or 7 if it had not yet seen that it was connected', async () => {
    const { exit, out } = await curl(ALLIANCE, '-XPOST', '/v1/request-landing');
    expect([56, 7]).toContain(exit);
    expect(out).toBe(' 000');
  });
});
