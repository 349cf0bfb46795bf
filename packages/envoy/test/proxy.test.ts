import { expect, test } from 'vitest';
import { EnvoyProxy, encodeDiscoveryResponse, ProxyError } from '../src/index.ts';
import { ALLIANCE, bytes, connection, coreWith, LANDING, NOW, policyOf, SEED, show } from './support.ts';

const EXHAUST = bytes('PUT /v1/exhaust-port HTTP/1.1\r\nHost: deathstar\r\n\r\n');
const LAND = bytes('POST /v1/request-landing HTTP/1.1\r\nHost: deathstar\r\n\r\n');

test('a proxy in its thread does what the core does', async () => {
  const proxy = await EnvoyProxy.start({ seed: SEED });
  try {
    const core = coreWith(LANDING);
    expect(show(await proxy.open(connection({ id: 9 }), NOW))).toEqual(['Denied', 'resetDownstream']); // no policy yet
    expect(await proxy.applyPolicy(encodeDiscoveryResponse('1', [LANDING]))).toEqual({ ack: true });
    const denied = { ack: false, reason: expect.stringContaining('deny: not modelled yet') };
    expect(await proxy.applyPolicy(encodeDiscoveryResponse('2', [policyOf([{ deny: true }])]))).toEqual(denied);

    const other = connection({ id: 2, remoteIdentity: ALLIANCE });
    expect(show(await proxy.open(other, NOW))).toEqual(['Denied', 'resetDownstream']);
    expect(await proxy.open(connection(), NOW)).toEqual(core.open(connection(), NOW));
    const both = [proxy.data(1, 'downstream', EXHAUST, NOW), proxy.data(1, 'downstream', LAND, NOW)];
    const want = [core.data(1, 'downstream', EXHAUST, NOW), core.data(1, 'downstream', LAND, NOW)];
    expect(await Promise.all(both)).toEqual(want);
    expect(show(want[0]!).at(-1)).toContain('403 Forbidden');
    expect(await proxy.abort(1, 'upstream', NOW)).toEqual(core.abort(1, 'upstream', NOW));
    expect(await proxy.end(1, 'downstream', NOW)).toEqual(core.end(1, 'downstream', NOW));
  } finally {
    await proxy.stop();
  }
});

test('a refused call is refused with its code, and the thread goes on', async () => {
  const proxy = await EnvoyProxy.start({ seed: SEED });
  try {
    await proxy.applyPolicy(encodeDiscoveryResponse('1', [LANDING]));
    await proxy.open(connection(), NOW);
    const again = await proxy.open(connection(), NOW).catch((error: unknown) => error);
    expect(again).toBeInstanceOf(ProxyError);
    expect(again).toMatchObject({ code: 'EXISTS', context: { id: 1 }, message: expect.stringContaining('(id=1)') });
    expect(await proxy.data(1, 'downstream', EXHAUST, NOW)).not.toEqual([]);
  } finally {
    await proxy.stop();
  }
});

test('a stopped proxy answers what it was asked before, and nothing after', async () => {
  const proxy = await EnvoyProxy.start({ seed: SEED });
  const asked = proxy.applyPolicy(encodeDiscoveryResponse('1', [LANDING]));
  await proxy.stop();
  expect(await asked).toEqual({ ack: true });
  await expect(proxy.open(connection(), NOW)).rejects.toMatchObject({ code: 'STOPPED' });
  await proxy.stop();
});

test('a thread that dies rejects all that wait with what killed it', async () => {
  const proxy = await EnvoyProxy.start({ seed: SEED });
  await proxy.applyPolicy(encodeDiscoveryResponse('1', [LANDING]));
  await proxy.open(connection(), NOW);
  const deadly = proxy.data(1, 'downstream', undefined as never, NOW);
  const waiting = proxy.data(1, 'downstream', EXHAUST, NOW);
  const [first, second] = await Promise.allSettled([deadly, waiting]);
  expect(first).toMatchObject({ status: 'rejected', reason: { message: expect.stringContaining('undefined') } });
  expect(second).toEqual(first);
  await expect(proxy.end(1, 'downstream', NOW)).rejects.toThrow('undefined');
  await proxy.stop();
});
