/**
 * One worker of the question whether two decide twice as much: compiles the rules, and decides about requests for as long as
 * each message says. Messages as in scaling_worker.ts.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { filterOf, REQUESTS, requestsFor, rulesFor } from './http_rules_workload.ts';

export interface WorkerJob {
  /** Number of rules. */
  size: number;
  seed: number;
}

const { size, seed } = workerData as WorkerJob;
const decide = filterOf(rulesFor(size));
const requests = requestsFor(size, seed);
parentPort!.on('message', ({ ms }: { ms: number }) => {
  let verdicts = 0;
  const begin = performance.now();
  do {
    decide(requests);
    verdicts += REQUESTS;
  } while (performance.now() - begin < ms);
  parentPort!.postMessage({ verdicts, ms: performance.now() - begin });
});
parentPort!.postMessage('ready');
