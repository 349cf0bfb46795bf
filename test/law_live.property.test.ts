import { connect } from 'node:net';
import { decodeObjects } from '@ciliate/k8s';
import type { LiveCluster } from '@ciliate/live';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Asked, clusterYaml, type Law, lawOf, policyOf, SERVER, scenario } from './law.ts';
import { startLive } from './live.ts';

/** The same law with real sockets: a client through SOCKS, a real server, and what Hubble tells of it. */
const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const clusters = new Map<boolean, LiveCluster>();
beforeAll(async () => {
  for (const policyAuditMode of [false, true])
    clusters.set(
      policyAuditMode,
      await startLive([], clusterYaml('ciliate.io/server: http-echo'), { seed, policyAuditMode }),
    );
});
afterAll(() => Promise.all([...clusters.values()].map((cluster) => cluster.stop())));

const DROPS = {
  133: 'Policy denied DROPPED',
  181: 'Policy denied by denylist DROPPED',
  189: 'Authentication required DROPPED',
};

test('each denial happens exactly when the rules say, is seen as it must be, and stands in the flow log', async () => {
  const counts = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(scenario, async (given) => {
      const cluster = clusters.get(given.audit)!;
      await cluster.delete([{ kind: 'CiliumNetworkPolicy', namespace: 'default', name: 'law' }]);
      if (given.rules.length > 0) await cluster.apply(decodeObjects(policyOf(given.rules), 'policy.yaml'));
      for (const asked of given.asked) {
        const law = lawOf(given, asked);
        const name = `${law.code}${given.audit ? ' audited' : ''}, ${law.sees}`;
        counts.set(name, (counts.get(name) ?? 0) + 1);
        await checkOne(cluster, given.audit, asked, law);
      }
    }),
    { seed, numRuns: 60 },
  );
  console.log(
    [...counts]
      .sort()
      .map(([name, count]) => `${count} x ${name}`)
      .join('\n'),
  );
}, 300_000);

async function checkOne(cluster: LiveCluster, audit: boolean, asked: Asked, law: Law): Promise<void> {
  const before = cluster.flows.count;
  const seen = await ask(cluster, asked);
  if (law.sees === '403') await toldOf(cluster, before, 'http-response FORWARDED (HTTP/1.1 403');
  const flows = cluster.flows.since(before);
  const statuses = { 'time-out': [], 403: ['HTTP/1.1 403'], answer: ['HTTP/1.1 200'] };
  expect(seen.match(/HTTP\/1\.1 \d+/g) ?? []).toEqual(statuses[law.sees]);
  expect(seen.includes(`default/${SERVER}: ${asked.method} ${asked.target}`)).toBe(law.sees === 'answer');
  const told = flows.filter((line) => line.includes(' DROPPED (TCP Flags: SYN)'));
  if (law.code === 0 || audit) expect(told).toEqual([]);
  else for (const line of told) expect(line).toContain(DROPS[law.code]);
  if (law.code !== 0 && audit && !law.redirected) expect(flows.join('\n')).toContain('AUDITED');
  expect(flows.filter((line) => line.includes('http-request DROPPED')).length).toBe(law.sees === '403' ? 1 : 0);
}

/** Waits for a line of the flow log: the proxy's worker tells on its own time. */
async function toldOf(cluster: LiveCluster, before: number, text: string): Promise<void> {
  if (cluster.flows.since(before).some((line) => line.includes(text))) return;
  await new Promise<void>((resolve) => {
    const stop = cluster.flows.listen((line) => {
      if (!line.includes(text)) return;
      stop();
      resolve();
    });
  });
}

/** One request through SOCKS, until the answer is whole or the flow log tells of a drop. @returns what came after SOCKS' own words */
function ask(cluster: LiveCluster, { client, method, target }: Asked): Promise<string> {
  const socket = connect(cluster.pod(client.name)!.socksPort, '127.0.0.1');
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    const finish = (): void => {
      stop();
      socket.destroy();
      resolve(bytes.subarray(SOCKS_BYTES).toString());
    };
    const stop = cluster.flows.listen((line) => {
      if (line.includes(`default/${client.name}:`) && / DROPPED \(TCP Flags: SYN\)/.test(line)) finish();
    });
    socket.on('error', reject);
    socket.on('end', finish);
    socket.on('data', (more: Buffer) => {
      bytes = Buffer.concat([bytes, more]);
    });
    const request = `${method} ${target} HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`;
    socket.write(Buffer.concat([Buffer.from([5, 1, 0, 5, 1, 0, 1, 10, 0, 0, 100, 0, 80]), Buffer.from(request)]));
  });
}

/** Its choice of a method, and that it is connected. */
const SOCKS_BYTES = 2 + 10;
