import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { ProxyError } from '../errors.ts';
import { readLogMessage } from './log_batch.ts';
import type {
  FromServerWorker,
  ListenerSpec,
  LoggedRequest,
  ServerCall,
  ServerWorkerInit,
  ToServerWorker,
} from './protocol.ts';

type Answer = Extract<FromServerWorker, { seq: number }>;

/** What a request leaves is garbage at once: room for much of it makes collections rare and short. */
const YOUNG_MB = 64;

interface Events {
  onLog(entries: readonly LoggedRequest[]): void;
  /** Once, unless it was stopped. */
  onDied(worker: WorkerHandle, error: Error): void;
}

/** A worker thread of a proxy server, seen from outside. */
export class WorkerHandle {
  readonly #worker: Worker;
  readonly #events: Events;
  readonly #waiting = new Map<number, { resolve(answer: Answer): void; reject(error: Error): void }>();
  #seq = 0;
  #stopping = false;
  /** What it died of. */
  died: Error | undefined;

  static async start(init: ServerWorkerInit, events: Events): Promise<WorkerHandle> {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData: init,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
    });
    await once(worker, 'message'); // `ready`; an error before it rejects
    return new WorkerHandle(worker, events);
  }

  private constructor(worker: Worker, events: Events) {
    this.#worker = worker;
    this.#events = events;
    worker.on('message', (message: FromServerWorker) => this.#onMessage(message));
    worker.on('error', (error: Error) => this.#end(error));
    worker.on('exit', (code) => this.#end(new ProxyError('DIED', 'a proxy thread ended', { code })));
  }

  /** @throws ProxyError REFUSED with the worker's reason */
  call(call: ServerCall): Promise<Answer> {
    if (this.died !== undefined) return Promise.reject(this.died);
    const seq = this.#seq++;
    this.#worker.postMessage({ ...call, seq } satisfies ToServerWorker);
    return new Promise((resolve, reject) => this.#waiting.set(seq, { resolve, reject }));
  }

  /** @returns the port */
  async listen(listener: ListenerSpec): Promise<number> {
    return ((await this.call({ type: 'listen', listener })) as Extract<Answer, { type: 'listening' }>).port;
  }

  async stop(): Promise<void> {
    if (this.died !== undefined) return;
    this.#stopping = true;
    const exit = once(this.#worker, 'exit');
    this.#worker.postMessage({ type: 'stop' } satisfies ToServerWorker);
    await exit;
  }

  #onMessage(message: FromServerWorker): void {
    if (message.type === 'log') this.#events.onLog(readLogMessage(message.message));
    if (message.type === 'log' || message.type === 'ready') return;
    const waiting = this.#waiting.get(message.seq);
    this.#waiting.delete(message.seq);
    if (message.type === 'refused') waiting?.reject(new ProxyError('REFUSED', message.message));
    else waiting?.resolve(message);
  }

  #end(error: Error): void {
    if (this.died !== undefined) return;
    this.died = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    if (!this.#stopping) this.#events.onDied(this, error);
  }
}
