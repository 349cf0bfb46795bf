import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { answerOf } from './core.ts';
import { ProxyError } from './errors.ts';
import { decodeDiscoveryRequest } from './npds.ts';
import type {
  FromWorker,
  PolicyAnswer,
  ProxyAction,
  ProxyCall,
  ProxyConnection,
  Side,
  ToWorker,
  WorkerInit,
} from './protocol.ts';
import type { UpstreamFailure } from './responses.ts';
import type { L7Parser } from './sessions.ts';

type Answer = Exclude<FromWorker, { type: 'ready' } | { type: 'refused' }>;

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The proxy in its own thread. Every call is answered once, in order. If the thread dies, all calls that wait are
 * rejected with what killed it, and so is every later one.
 */
export class EnvoyProxy {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #seq = 0;
  /** Why no call can be answered any more. */
  #ended: Error | undefined;

  /** Starts the thread. @param seed of the request ids @throws the thread's own error, if it cannot start */
  static async start({ seed }: WorkerInit): Promise<EnvoyProxy> {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: { seed } satisfies WorkerInit });
    await once(worker, 'message'); // `ready`; an error before it rejects
    return new EnvoyProxy(worker);
  }

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (message: FromWorker) => this.#settle(message));
    worker.on('error', (error: Error) => this.#end(error));
    worker.on('exit', (code) => this.#end(new ProxyError('DIED', 'the proxy thread ended', { code })));
  }

  /** @param response a DiscoveryResponse in wire form: all policies that are in force from then on */
  async applyPolicy(response: Uint8Array): Promise<PolicyAnswer> {
    const answer = await this.#call({ type: 'discovery', response });
    return answerOf(decodeDiscoveryRequest((answer as Extract<Answer, { type: 'discovery' }>).request));
  }

  /** The same for the secrets that policies name. @param response made by `encodeSecretsResponse` */
  applySecrets(response: Uint8Array): Promise<PolicyAnswer> {
    return this.applyPolicy(response);
  }

  /**
   * A redirected connection was established: may it stay?
   * @param parser what it speaks: http if absent
   * @returns nothing, or that it must be reset
   * @throws ProxyError EXISTS if the id belongs to an open connection
   */
  open(connection: ProxyConnection, nowNs: bigint, parser: L7Parser = 'http'): Promise<ProxyAction[]> {
    return this.#actions({ type: 'open', connection, nowNs, parser });
  }

  /** Bytes came from a side. */
  data(id: number, from: Side, bytes: Uint8Array, nowNs: bigint): Promise<ProxyAction[]> {
    return this.#actions({ type: 'data', id, from, bytes, nowNs });
  }

  /** A side closed its direction (FIN). */
  end(id: number, from: Side, nowNs: bigint): Promise<ProxyAction[]> {
    return this.#actions({ type: 'end', id, from, nowNs });
  }

  /** A side reset the connection, or, with a reason, the server could not be reached. */
  abort(id: number, from: Side, nowNs: bigint, reason?: UpstreamFailure): Promise<ProxyAction[]> {
    return this.#actions({ type: 'abort', id, from, nowNs, ...(reason && { reason }) });
  }

  /** Lets the thread answer what it was asked, and end. Calls after this are rejected. */
  async stop(): Promise<void> {
    if (this.#ended !== undefined) return;
    const exit = once(this.#worker, 'exit');
    this.#worker.postMessage({ type: 'stop' } satisfies ToWorker);
    this.#ended = new ProxyError('STOPPED', 'the proxy was stopped');
    await exit;
  }

  async #actions(call: ProxyCall): Promise<ProxyAction[]> {
    return ((await this.#call(call)) as Extract<Answer, { type: 'actions' }>).actions;
  }

  #call(call: ProxyCall): Promise<Answer> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const seq = this.#seq++;
    this.#worker.postMessage({ ...call, seq } satisfies ToWorker);
    return new Promise((resolve, reject) => this.#waiting.set(seq, { resolve, reject }));
  }

  #settle(message: FromWorker): void {
    if (message.type === 'ready') return;
    const waiting = this.#waiting.get(message.seq);
    this.#waiting.delete(message.seq);
    if (message.type === 'refused') waiting?.reject(new ProxyError(message.code, message.message, message.context));
    else waiting?.resolve(message);
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
