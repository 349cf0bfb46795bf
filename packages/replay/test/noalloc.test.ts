import { join } from 'node:path';
import { CT_SHARDS } from '@ciliate/agent';
import { DEFAULT_CONFIG } from '@ciliate/bpf';
import { NULL } from '@ciliate/maps';
import { expect, test } from 'vitest';
import { generateTrace } from '../src/index.ts';
import { BatchFiller } from '../src/packets/batch_ring.ts';
import { Dispatcher } from '../src/packets/dispatcher.ts';
import { flushConnections } from '../src/packets/flush.ts';
import { PacketWorker } from '../src/packets/packet_worker.ts';
import { Places } from '../src/packets/places.ts';
import { CLUSTER, startAgent, temporaryFolder } from './support.ts';

const folder = temporaryFolder();

test('the loops over packets allocate nothing for a packet: reading and steering, and a worker', async () => {
  const agent = await startAgent(CLUSTER);
  const path = join(folder, 'trace.pcapng');
  generateTrace(agent, path, { packets: 40_000, flows: 100, newFlows: 500, sizes: { min: 64, max: 64 } });
  const { memory } = agent;
  const ring = BatchFiller.create(memory, 1, false);
  const owners = Array.from({ length: CT_SHARDS }, () => 0);
  const options = { path, config: DEFAULT_CONFIG, shards: CT_SHARDS, owners, passes: 1000 };
  const dispatcher = new Dispatcher(agent, new Places(memory), ring, options);
  const task = { ring: ring.layout, worker: 0, owners, batch: 64, events: NULL, flows: 4096 };
  const worker = new PacketWorker(memory, agent.seed, DEFAULT_CONFIG, task);
  const heap = (): number => process.memoryUsage().heapUsed;

  /** Bytes for each packet, in steering and in judging. Medians: a garbage collection in a round makes it negative. */
  function measure(rounds: number): [steering: number, judging: number] {
    const [steering, judging]: [number[], number[]] = [[], []];
    while (steering.length < rounds) {
      const before = heap();
      const count = dispatcher.fill();
      const filled = heap();
      if (count === 0) continue; // the file begins again
      ring.publish(count);
      const published = heap();
      worker.steer(ring.next - 1);
      worker.work(ring.next - 1);
      steering.push((filled - before) / count);
      judging.push((heap() - published) / count);
    }
    return [median(steering), median(judging)];
  }

  // Until V8 has compiled the loops, numbers are allocated; when it has is up to it.
  let measured = measure(15);
  for (let i = 0; i < 40 && Math.max(...measured) >= 2; i++) measured = measure(15);
  expect(measured[0]).toBeLessThan(2);
  expect(measured[1]).toBeLessThan(2);
  worker.destroy();
  dispatcher.close();
  ring.destroy();
  flushConnections(memory, CT_SHARDS);
});

const median = (all: number[]): number => all.sort((a, b) => a - b)[all.length >> 1]!;
