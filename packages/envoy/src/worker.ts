import { parentPort, workerData } from 'node:worker_threads';
import { ProxyCore } from './core.ts';
import { ProxyError } from './errors.ts';
import { encodeDiscoveryRequest } from './npds.ts';
import type { FromWorker, ProxyCall, ToWorker, WorkerInit } from './protocol.ts';

const port = parentPort!;
const core = new ProxyCore(workerData as WorkerInit);
const send = (message: FromWorker): void => port.postMessage(message);

port.on('message', (message: ToWorker) => {
  if (message.type === 'stop') return port.close(); // lets the thread end by itself
  const { seq } = message;
  try {
    send(answer(message, seq));
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error; // a fault of this code: the thread dies of it, and the host hears
    const { code, context } = error;
    send({ type: 'refused', seq, code, message: error.message, context });
  }
});
send({ type: 'ready' });

function answer(call: ProxyCall, seq: number): FromWorker {
  switch (call.type) {
    case 'discovery':
      return { type: 'discovery', seq, request: encodeDiscoveryRequest(core.discovery(call.response)) };
    case 'open':
      return { type: 'actions', seq, actions: core.open(call.connection, call.nowNs, call.parser) };
    case 'data':
      return { type: 'actions', seq, actions: core.data(call.id, call.from, call.bytes, call.nowNs) };
    case 'end':
      return { type: 'actions', seq, actions: core.end(call.id, call.from, call.nowNs) };
    case 'abort':
      return { type: 'actions', seq, actions: core.abort(call.id, call.from, call.nowNs, call.reason) };
  }
}
