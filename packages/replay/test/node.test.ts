import { fileURLToPath } from 'node:url';
import { Agent } from '@ciliate/agent';
import { loadObjects, ObjectStore } from '@ciliate/k8s';
import { TCP_SYN, tcpSegment } from '@ciliate/packet';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Node } from '../src/node.ts';

let agent: Agent;
beforeAll(async () => {
  const store = new ObjectStore();
  for (const object of loadObjects([fileURLToPath(new URL('../../../examples/deathstar', import.meta.url))]))
    store.apply(object);
  agent = await Agent.start({ store, seed: 1, log: pino({ level: 'silent' }) });
});
afterAll(() => agent.stop());

/** Three connections from the xwing to deathstar-1, each from a clean conntrack: what a node with such a ring sees. */
function observe(ringBytes: number): { seen: number; lost: number; times: bigint[] } {
  const xwing = agent.endpointOfPod('xwing')!;
  const { address } = agent.endpointOfPod('deathstar-1')!;
  agent.flushConntrack();
  const node = new Node(agent, ringBytes);
  for (const [i, srcPort] of [40_000, 40_001, 40_002].entries()) {
    const syn = tcpSegment({ src: xwing.address, dst: address, srcPort, dstPort: 80, seq: 1, flags: TCP_SYN });
    node.fromPod(xwing, syn, 1_000_000_000n * BigInt(i + 1));
  }
  const { flows, lost } = node;
  node.close();
  return {
    seen: flows.length,
    lost: lost.reduce((sum, { numEventsLost }) => sum + numEventsLost, 0),
    times: lost.map(({ timeNs }) => timeNs),
  };
}

test('a ring with room for all events loses none', () => {
  expect(observe(64 * 1024)).toEqual({ seen: 9, lost: 0, times: [] });
});

test('what a ring has no room for is counted, packet by packet: seen and lost together are all', () => {
  const { seen, lost, times } = observe(256);
  expect(seen).toBeGreaterThan(0);
  expect(seen + lost).toBe(9);
  expect(times).toEqual([1_000_000_000n, 2_000_000_000n, 3_000_000_000n]);
});
