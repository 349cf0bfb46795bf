import { answerOf } from '../core.ts';
import { ProxyError } from '../errors.ts';
import { HTTP_CONFIG, type HttpConfig } from '../http_config.ts';
import { decodeDiscoveryRequest } from '../npds.ts';
import type { PolicyAnswer } from '../protocol.ts';
import type { ListenerSpec, LoggedRequest, ServerWorkerInit } from './protocol.ts';
import { WorkerHandle } from './worker_handle.ts';

export interface ProxyServerOptions {
  /** Of request ids, and of the time before retries. */
  readonly seed: number;
  /** Threads that carry connections; 1 if absent. */
  readonly workers?: number;
  /** What differs from Cilium's configuration. */
  readonly http?: Partial<HttpConfig>;
  /** Gets the access log, in order for each connection. Without it no entries leave the workers. */
  readonly onAccessLog?: (entries: readonly LoggedRequest[]) => void;
  /** Hears that a worker died, and was replaced. */
  readonly onWorkerDied?: (error: Error) => void;
}

/**
 * The proxy on real sockets: worker threads with listeners on loopback, one port for each redirect, shared by all workers.
 * A connection says by its preamble (`encodePreamble`) whose it is. Policy comes by NPDS alone.
 *
 * A worker that dies takes its connections along, and no others; another takes its place, with the same ports and the
 * policies that were accepted last.
 */
export class ProxyServer {
  readonly #init: ServerWorkerInit;
  readonly #options: ProxyServerOptions;
  readonly #workers: WorkerHandle[] = [];
  readonly #listeners = new Map<string, ListenerSpec>();
  /** The last responses that were accepted, in the order in which a new worker hears them. */
  readonly #inForce: Record<'secrets' | 'policies', Uint8Array | undefined> = {
    secrets: undefined,
    policies: undefined,
  };
  #stopped = false;
  /** Calls go one after the other, so that all workers have the same policies in the same order. */
  #last: Promise<unknown> = Promise.resolve();

  static async start(options: ProxyServerOptions): Promise<ProxyServer> {
    const server = new ProxyServer(options);
    const workers = Array.from({ length: options.workers ?? 1 }, () => server.#startWorker());
    server.#workers.push(...(await Promise.all(workers)));
    return server;
  }

  private constructor(options: ProxyServerOptions) {
    this.#options = options;
    const http = { ...HTTP_CONFIG, ...options.http };
    this.#init = { seed: options.seed, http, logs: options.onAccessLog !== undefined };
  }

  /**
   * @param response a DiscoveryResponse in wire form: all policies that are in force from then on, also for connections that are
   *   open. After a NACK the last accepted ones stay.
   */
  applyPolicy(response: Uint8Array): Promise<PolicyAnswer> {
    return this.#apply('policies', response);
  }

  /** The same for the secrets that policies name. @param response made by `encodeSecretsResponse` */
  applySecrets(response: Uint8Array): Promise<PolicyAnswer> {
    return this.#apply('secrets', response);
  }

  #apply(what: 'policies' | 'secrets', response: Uint8Array): Promise<PolicyAnswer> {
    return this.#inTurn(async () => {
      const requests = await this.#all((worker) => worker.call({ type: 'discovery', response }));
      const answers = requests.flatMap((one) =>
        one?.type === 'discovery' ? [answerOf(decodeDiscoveryRequest(one.request))] : [],
      );
      const refused = answers.find(({ ack }) => !ack);
      if (refused !== undefined) return refused;
      this.#inForce[what] = response;
      return { ack: true };
    });
  }

  /** Opens a port for redirected connections; any free one if none is named. @returns the port @throws ProxyError EXISTS if the name is taken; the system's error */
  listen({ port = 0, ...rest }: Omit<ListenerSpec, 'port'> & { port?: number }): Promise<number> {
    const { name } = rest;
    return this.#inTurn(async () => {
      if (this.#listeners.has(name)) throw new ProxyError('EXISTS', 'there is a listener of this name', { name });
      const first = await this.#workers[0]!.listen({ ...rest, port });
      const spec = { ...rest, port: first };
      await Promise.all(this.#workers.slice(1).map((worker) => worker.listen(spec)));
      this.#listeners.set(name, spec);
      return first;
    });
  }

  /** Closes a port; connections that are open stay. */
  unlisten(name: string): Promise<void> {
    return this.#inTurn(async () => {
      this.#listeners.delete(name);
      await this.#all((worker) => worker.call({ type: 'close', name }));
    });
  }

  /** Ends all connections and all threads. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#last;
    await Promise.all(this.#workers.map((worker) => worker.stop()));
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    if (this.#stopped) return Promise.reject(new ProxyError('STOPPED', 'the proxy was stopped'));
    const result = this.#last.then(step);
    this.#last = result.catch(() => {});
    return result;
  }

  /** Asks every worker; one that dies meanwhile answers nothing: its successor starts with what is then in force. */
  #all<T>(ask: (worker: WorkerHandle) => Promise<T>): Promise<(T | undefined)[]> {
    return Promise.all(
      this.#workers.map((worker) =>
        ask(worker).catch((error: unknown) => {
          if (worker.died) return undefined;
          throw error;
        }),
      ),
    );
  }

  async #startWorker(): Promise<WorkerHandle> {
    return WorkerHandle.start(this.#init, {
      onLog: (entries) => this.#options.onAccessLog?.(entries),
      onDied: (worker, error) => void this.#inTurn(() => this.#replace(worker, error)).catch(() => {}),
    });
  }

  async #replace(worker: WorkerHandle, error: Error): Promise<void> {
    const successor = await this.#startWorker();
    for (const response of Object.values(this.#inForce))
      if (response !== undefined) await successor.call({ type: 'discovery', response });
    for (const spec of this.#listeners.values()) await successor.listen(spec);
    this.#workers[this.#workers.indexOf(worker)] = successor;
    this.#options.onWorkerDied?.(error);
  }
}
