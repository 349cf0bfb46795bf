import { join } from 'node:path';
import { CT_SHARDS } from '@ciliate/agent';
import { DEFAULT_CONFIG } from '@ciliate/bpf';
import { NULL } from '@ciliate/maps';
import { expect, test } from 'vitest';
import { generateTrace } from '../src/index.ts';
import { BatchRing } from '../src/packets/batch_ring.ts';
import { flushConnections } from '../src/packets/flush.ts';
import { FragmentTable } from '../src/packets/fragment_table.ts';
import { PacketWorker } from '../src/packets/packet_worker.ts';
import { podInterfaces } from '../src/packets/pod_interfaces.ts';
import { TraceState } from '../src/packets/trace_state.ts';
import { CLUSTER, startAgent, temporaryFolder } from './support.ts';

const folder = temporaryFolder();

test('the loops over packets allocate nothing for a packet: reading and steering, and a worker', async () => {
  const agent = await startAgent(CLUSTER);
  const path = join(folder, 'trace.pcapng');
  generateTrace(agent, path, { packets: 40_000, flows: 100, newFlows: 500, sizes: { min: 64, max: 64 } });
  const { memory } = agent;
  const ring = BatchRing.create(memory, 1, false, false);
  const owners = Array.from({ length: CT_SHARDS }, () => 0);
  const [state, fragments] = [TraceState.create(memory), FragmentTable.create(memory)];
  const addresses = { state: state.address, fragments: fragments.address };
  const capture = { path, passes: 1000, pods: podInterfaces(agent), tunnels: false, ...addresses };
  const task = { ring: ring.layout, capture, worker: 0, owners, batch: 64, events: NULL, flows: 4096 };
  const worker = new PacketWorker(memory, agent.seed, DEFAULT_CONFIG, task);
  const heap = (): number => process.memoryUsage().heapUsed;

  /** Bytes for each packet, in steering and in judging. Medians: a garbage collection in a round makes it negative. */
  function measure(rounds: number): [steering: number, judging: number] {
    const [steering, judging]: [number[], number[]] = [[], []];
    while (steering.length < rounds) {
      const batch = ring.next;
      expect(ring.turn(batch)).toBe('fill');
      const before = heap();
      worker.fill();
      const filled = heap();
      if (ring.next === batch) continue; // the file begins again
      const count = ring.count(batch);
      worker.work(batch);
      steering.push((filled - before) / count);
      judging.push((heap() - filled) / count);
      ring.finish(0, batch);
    }
    return [median(steering), median(judging)];
  }

  // Until V8 has compiled the loops, numbers are allocated; when it has is up to it.
  let measured = measure(15);
  for (let i = 0; i < 40 && Math.max(...measured) >= 2; i++) measured = measure(15);
  expect(measured[0]).toBeLessThan(2);
  expect(measured[1]).toBeLessThan(2);
  worker.destroy();
  for (const one of [fragments, state, ring]) one.destroy();
  flushConnections(memory, CT_SHARDS);
});

const median = (all: number[]): number => all.sort((a, b) => a - b)[all.length >> 1]!;
