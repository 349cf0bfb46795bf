import { EventEmitter } from 'node:events';
import type { ClientStream, Connection } from '../../src/etcd/connection.ts';
import type { Route } from '../../src/grpc/http2_server.ts';
import { clientMethod, type MethodName, type ServiceName } from '../../src/grpc/methods.ts';
import type { StreamCall, StreamListener } from '../../src/grpc/service.ts';
import { readError, type StatusError, writeError } from '../../src/grpc/status.ts';
import type { Machine } from './machine.ts';
import type { Scheduler } from './scheduler.ts';

const TIMEOUT_MS = 3000;
const LOST: StatusError = { code: 14, details: 'the connection was lost' };
const DEADLINE: StatusError = { code: 4, details: 'Deadline exceeded' };

/**
 * One client's connection to a machine: bytes arrive late, in order on a stream, or not at all, and then the connection is
 * lost. What may be asked twice is asked again, so a machine sees some requests twice.
 */
export class SimConnection implements Connection {
  readonly #scheduler: Scheduler;
  readonly #machine: Machine;
  /** Everything on its way at once; emptied when the connection is lost. */
  readonly #open = new Set<(status: StatusError) => void>();
  /** How many of the calls lose the connection. */
  lossRate = 0.02;

  constructor(scheduler: Scheduler, machine: Machine) {
    this.#scheduler = scheduler;
    this.#machine = machine;
    machine.onCut(() => this.lose());
  }

  /** All that is on its way is lost, both ways. */
  lose(): void {
    for (const fail of [...this.#open]) fail(LOST);
  }

  async call<S extends ServiceName>(
    service: S,
    name: MethodName<S>,
    request: object,
    isRepeatable: boolean,
  ): Promise<unknown> {
    const { path, encode, decode } = clientMethod(service, name);
    for (let tried = 0; ; tried++) {
      const answer = await this.#send(path, encode(request));
      if (answer instanceof Uint8Array) return decode(answer);
      const error = readError(answer, 'sim');
      if (error.code !== 'UNAVAILABLE' || !isRepeatable || tried > 0) throw error;
      await this.pause();
    }
  }

  /** One request and its answer's bytes, or what it ended with. */
  #send(path: string, request: Uint8Array): Promise<Uint8Array | StatusError> {
    const { promise, resolve } = Promise.withResolvers<Uint8Array | StatusError>();
    this.#open.add(resolve);
    const { life } = this.#machine;
    // A request that is lost was not done; an answer that is lost was.
    const fate = this.#scheduler.random();
    if (fate < this.lossRate) this.#later(() => this.lose());
    else
      this.#arrive(async () => {
        const route = this.#machine.routes?.get(path);
        if (route === undefined || life !== this.#machine.life) return resolve(LOST);
        const answer = await answerOf(route, request);
        if (life !== this.#machine.life) return;
        this.#later(() => (fate < 2 * this.lossRate ? this.lose() : resolve(answer)));
      });
    this.#scheduler.after(TIMEOUT_MS, () => resolve(DEADLINE));
    return promise.finally(() => this.#open.delete(resolve));
  }

  async stream<S extends ServiceName>(
    service: S,
    name: MethodName<S>,
  ): Promise<{ stream: ClientStream; endpoint: string; leave: () => void }> {
    await this.#scheduler.sleep(this.#scheduler.delay(3, 300));
    const { path } = clientMethod(service, name);
    const stream = new SimStream(this.#scheduler, this.#machine, path, clientMethod(service, name));
    const fail = (status: StatusError): void => stream.fail(status);
    this.#open.add(fail);
    stream.on('close', () => this.#open.delete(fail));
    return { stream, endpoint: 'sim', leave: () => {} };
  }

  pause(): Promise<void> {
    return this.#scheduler.sleep(100);
  }

  close(): void {
    this.lose();
  }

  #later(run: () => void): void {
    this.#scheduler.after(this.#scheduler.delay(3, 300), run);
  }

  /** At the machine, when it is not frozen. */
  #arrive(run: () => void): void {
    this.#later(() => this.#scheduler.after(this.#machine.frozenMs, run));
  }
}

async function answerOf(route: Route, request: Uint8Array): Promise<Uint8Array | StatusError> {
  if (!('unary' in route)) throw new Error('a stream');
  try {
    return route.method.encode(await route.unary(route.method.decode(request) as never));
  } catch (error) {
    return writeError(error);
  }
}

/** Both ends of a stream. */
class SimStream extends EventEmitter implements ClientStream {
  readonly #scheduler: Scheduler;
  readonly #machine: Machine;
  readonly #life: number;
  readonly #codec: ReturnType<typeof clientMethod>;
  readonly #route: Route | undefined;
  readonly #listener: StreamListener | undefined;
  #isOpen = true;
  #isPaused = false;
  #waiting: (() => void)[] = [];
  /** When the last message each way arrives: none overtakes another. */
  #last = { up: 0, down: 0 };
  #onTheWay = 0;

  constructor(scheduler: Scheduler, machine: Machine, path: string, codec: ReturnType<typeof clientMethod>) {
    super();
    this.#scheduler = scheduler;
    this.#machine = machine;
    this.#life = machine.life;
    this.#codec = codec;
    this.#route = machine.routes?.get(path);
    if (this.#route === undefined || !('stream' in this.#route)) scheduler.after(1, () => this.fail(LOST));
    else this.#listener = this.#route.stream(this.#serverSide(this.#route));
  }

  #serverSide({ method }: Route): StreamCall {
    const isFull = (): boolean => this.#onTheWay >= 3;
    return {
      get isFull() {
        return isFull();
      },
      drained: async () => {
        while (isFull() && this.#isOpen) await this.#scheduler.sleep(1);
      },
      write: (response) => {
        const bytes = method.encode(response);
        this.#onTheWay++;
        this.#travel('down', () => {
          this.#onTheWay--;
          this.#tell(() => this.emit('data', this.#codec.decode(bytes)));
        });
      },
      end: (status) => this.#travel('down', () => (status === undefined ? this.#finish() : this.fail(status))),
    };
  }

  write(message: object): void {
    const bytes = this.#codec.encode(message);
    this.#travel('up', () => this.#listener?.receive(this.#route!.method.decode(bytes) as never));
  }

  end(): void {
    this.#travel('up', () => this.#listener?.finished());
  }

  cancel(): void {
    this.fail({ code: 1, details: 'Cancelled on client' });
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    for (const tell of this.#waiting.splice(0)) tell();
  }

  fail(status: StatusError): void {
    if (!this.#close()) return;
    this.#scheduler.after(1, () => this.emit('error', Object.assign(new Error(status.details), status)));
  }

  #finish(): void {
    this.#tell(() => {
      if (this.#close()) this.emit('end');
    });
  }

  #close(): boolean {
    if (!this.#isOpen) return false;
    this.#isOpen = false;
    this.#listener?.closed();
    this.emit('close');
    return true;
  }

  #tell(run: () => void): void {
    if (this.#isPaused) this.#waiting.push(run);
    else run();
  }

  #travel(way: 'up' | 'down', arrive: () => void): void {
    const frozen = way === 'up' ? this.#machine.frozenMs : 0;
    const at = Math.max(this.#last[way], this.#scheduler.now() + frozen + this.#scheduler.delay(3, 300));
    this.#last[way] = at;
    this.#scheduler.after(at - this.#scheduler.now(), () => {
      if (this.#isOpen && this.#life === this.#machine.life) arrive();
    });
  }
}
