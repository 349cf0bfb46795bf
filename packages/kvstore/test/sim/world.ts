import { EtcdBackend } from '../../src/etcd/etcd_backend.ts';
import type { KvstoreClient } from '../../src/index.ts';
import { valueText } from '../../src/index.ts';
import { StoreClient } from '../../src/store_client.ts';
import type { History } from '../history/history.ts';
import { LEASED } from '../history/violations.ts';
import { Workload } from '../history/workload.ts';
import { randomFrom } from '../random.ts';
import { Machine, type MachineFaults } from './machine.ts';
import { SimConnection } from './network.ts';
import { Scheduler } from './scheduler.ts';

const WRITERS = 5;
const LIVES = 5;

export interface Simulated {
  history: History;
  /** Of the power. */
  cuts: number;
  compactions: number;
}

/** Clients, a network and a machine, all simulated: the same seed gives the same history. */
export async function simulate(seed: number, faults: MachineFaults = {}): Promise<Simulated> {
  const scheduler = new Scheduler(randomFrom(seed));
  return scheduler.runUntil(live(scheduler, faults));
}

async function live(scheduler: Scheduler, faults: MachineFaults): Promise<Simulated> {
  const { now, sleep, random } = scheduler;
  const machine = new Machine(scheduler, faults);
  await machine.start();
  const connections = Array.from({ length: 3 }, () => new SimConnection(scheduler, machine));
  const clients: KvstoreClient[] = connections.map((connection) => new StoreClient(new EtcdBackend(connection)));
  const workload = new Workload(random, { now, sleep });
  const watching = [0, 1].map((i) => workload.watch(clients[i]!, i === 1));
  const working = [
    ...Array.from({ length: WRITERS }, (_, i) => workload.write(clients[i % clients.length]!)),
    ...clients.slice(0, 2).map((client) => workload.lease(client)),
    workload.compact(clients[0]!),
  ];
  for (let life = 0; life < LIVES && machine.failure === undefined; life++) {
    for (let troubles = scheduler.pick(4); troubles > 0; troubles--) {
      await sleep(random() * 300);
      if (random() < 0.5) connections[scheduler.pick(connections.length)]!.lose();
      else machine.freeze(random() * 2500);
    }
    await sleep(random() * 200);
    machine.cut();
    // It may go off again while it starts.
    do {
      await sleep(20 + random() * 500);
      await Promise.race([machine.start(random() < 0.5 ? 1 + scheduler.pick(80) : undefined), sleep(1000)]);
    } while (machine.routes === undefined && machine.failure === undefined);
  }
  workload.stop();
  for (const connection of connections) connection.lossRate = 0;
  if (machine.routes !== undefined) machine.cut(); // also that which is to go off later
  if (machine.failure === undefined) await machine.start();
  if (machine.failure !== undefined) return broken(workload, machine);
  await Promise.all(working);
  const store = clients[2]!;
  for (let tries = 0; tries < 400; tries++) {
    if ((await store.getPrefix(LEASED, { countOnly: true })).count === 0) break;
    await sleep(25);
  }
  await workload.end(store);
  const { revision, entries } = await store.getPrefix('');
  // A store that lost a revision never tells of it.
  await Promise.race([Promise.all(watching), sleep(20_000)]);
  const { recorder, watches, leases } = workload;
  const pairs = new Map(entries.map((entry) => [entry.key, valueText(entry)]));
  const history = {
    ...{ calls: recorder.calls, surprises: recorder.surprises },
    watches,
    leases,
    last: { revision, pairs },
  };
  return { history, cuts: machine.cuts, compactions: workload.compactions };
}

/** A store that does not come up again is the history's fault. */
function broken({ recorder, watches, leases, compactions }: Workload, machine: Machine): Simulated {
  const surprises = [...recorder.surprises, `the store does not start: ${machine.failure!.message}`];
  const history = { calls: recorder.calls, surprises, watches, leases, last: { revision: 1, pairs: new Map() } };
  return { history, cuts: machine.cuts, compactions };
}
