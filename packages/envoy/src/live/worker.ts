import { parentPort, workerData } from 'node:worker_threads';
import { NetworkPolicyMap } from '../network_policy.ts';
import { encodeDiscoveryRequest } from '../npds.ts';
import { Listeners } from './listeners.ts';
import { LogBatch } from './log_batch.ts';
import type { FromServerWorker, ServerCall, ServerWorkerInit, ToServerWorker } from './protocol.ts';
import type { Runtime } from './runtime.ts';

const SWEEP_MS = 1000;
/** Entries wait so long for others, unless there are many. */
const LOG_DELAY_MS = 10;
const port = parentPort!;
const { seed, http, logs } = workerData as ServerWorkerInit;
const send = (message: FromServerWorker): void => port.postMessage(message);

const batch = new LogBatch();
function flushLog(): void {
  if (!batch.empty) send({ type: 'log', message: batch.take() });
}

const runtime: Runtime = {
  seed,
  http,
  logs,
  policies: new NetworkPolicyMap(),
  connections: new Set(),
  nowNs: () => BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e6)),
  log: (connection, request, record) => {
    if (batch.empty) setTimeout(flushLog, LOG_DELAY_MS);
    batch.add(connection, request, record);
    if (batch.full) flushLog();
  },
};
const listeners = new Listeners(runtime);
const sweep = setInterval(() => {
  const nowNs = runtime.nowNs();
  for (const connection of runtime.connections) connection.sweep(nowNs);
}, SWEEP_MS);

port.on('message', async (message: ToServerWorker) => {
  if (message.type === 'stop') {
    listeners.closeAll();
    flushLog();
    clearInterval(sweep);
    return port.close(); // lets the thread end by itself
  }
  const { seq } = message;
  try {
    send(await answer(message, seq));
  } catch (error) {
    send({ type: 'refused', seq, message: (error as Error).message });
  }
});
send({ type: 'ready' });

async function answer(call: ServerCall, seq: number): Promise<FromServerWorker> {
  switch (call.type) {
    case 'discovery':
      return { type: 'discovery', seq, request: encodeDiscoveryRequest(runtime.policies.apply(call.response)) };
    case 'listen':
      return { type: 'listening', seq, port: await listeners.listen(call.listener) };
    case 'close':
      listeners.close(call.name);
      return { type: 'closed', seq };
  }
}
