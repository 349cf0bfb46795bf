import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { type ChannelCredentials, Client, credentials as grpcCredentials, type ServiceError } from '@grpc/grpc-js';
import { KvstoreError, STATUS } from '../errors.ts';
import { clientMethod, type MethodName, type ServiceName } from '../grpc/methods.ts';
import { readError } from '../grpc/status.ts';

export interface EtcdTls {
  /** PEM; without it, the authorities that Node knows. */
  ca?: Buffer;
  /** PEM, both or none. */
  cert?: Buffer;
  key?: Buffer;
}

export interface EtcdOptions {
  /** `http://host:port`, `https://host:port` or `host:port`; tried in turn. */
  endpoints: readonly string[];
  tls?: EtcdTls;
  /** How long to wait for an endpoint, and for an answer. */
  timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 5000;
const PAUSE_MS = 100;

/** A call that is a stream both ways; of a gRPC library's what is needed here. */
export interface ClientStream {
  /** `data`: a message; `end`: there are no more; `error`: a gRPC status. */
  on<T>(event: 'data' | 'end' | 'error', listener: (argument: T) => void): unknown;
  write(message: object): unknown;
  end(): unknown;
  cancel(): void;
  pause(): unknown;
  resume(): unknown;
}

/** How a store is reached. */
export interface Connection {
  /**
   * @param isRepeatable false: once the request may have reached a member it is not sent to another
   * @throws UNAVAILABLE and etcd's own errors
   */
  call<S extends ServiceName>(
    service: S,
    name: MethodName<S>,
    request: object,
    isRepeatable: boolean,
  ): Promise<unknown>;
  /** A stream to a member that can be reached. @returns `leave`: to be called when the stream is lost */
  stream<S extends ServiceName>(
    service: S,
    name: MethodName<S>,
  ): Promise<{ stream: ClientStream; endpoint: string; leave: () => void }>;
  /** Between a stream that was lost and the next one. */
  pause(): Promise<void>;
  close(): void;
}

/** The members of one etcd cluster. Calls go to one of them; when it cannot be reached, to the next. */
export class EtcdConnection implements Connection {
  readonly #endpoints: { name: string; client: Client }[];
  readonly #timeoutMs: number;
  #current = 0;
  #isClosed = false;

  /** @throws BAD_INPUT */
  constructor({ endpoints, tls, timeoutMs = DEFAULT_TIMEOUT_MS }: EtcdOptions) {
    if (endpoints.length === 0) throw new KvstoreError('BAD_INPUT', 'no etcd endpoint was given');
    this.#timeoutMs = timeoutMs;
    const options = {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      // A member that is back is found at once; gRPC's own pauses grow to two minutes.
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1000,
    };
    this.#endpoints = endpoints.map((name) => {
      const { target, credentials, serverName } = targetOf(name, tls);
      const override = serverName === undefined ? {} : { 'grpc.ssl_target_name_override': serverName };
      return { name, client: new Client(target, credentials, { ...options, ...override }) };
    });
  }

  async call<S extends ServiceName>(
    service: S,
    name: MethodName<S>,
    request: object,
    isRepeatable: boolean,
  ): Promise<unknown> {
    for (let tried = 1; ; tried++) {
      const endpoint = await this.#ready();
      try {
        return await this.#send(endpoint.client, service, name, request);
      } catch (error) {
        const refusal = readError(error as ServiceError, endpoint.name);
        if (refusal.code === 'UNAVAILABLE') this.#leave(endpoint);
        if (refusal.code !== 'UNAVAILABLE' || !isRepeatable || tried >= this.#endpoints.length) throw refusal;
      }
    }
  }

  async stream<S extends ServiceName>(
    service: S,
    name: MethodName<S>,
  ): Promise<{ stream: ClientStream; endpoint: string; leave: () => void }> {
    const endpoint = await this.#ready();
    const { path, encode, decode } = clientMethod(service, name);
    const stream = endpoint.client.makeBidiStreamRequest(path, encode, decode);
    return { stream, endpoint: endpoint.name, leave: () => this.#leave(endpoint) };
  }

  pause(): Promise<void> {
    return sleep(PAUSE_MS, undefined, { ref: false });
  }

  close(): void {
    this.#isClosed = true;
    for (const { client } of this.#endpoints) client.close();
  }

  #send(client: Client, service: ServiceName, name: string, request: object): Promise<unknown> {
    const { path, encode, decode } = clientMethod(service, name as never);
    const deadline = Date.now() + this.#timeoutMs;
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(path, encode, decode, request, { deadline }, (error, answer) =>
        error === null ? resolve(answer) : reject(error),
      );
    });
  }

  /** The current member if it can be reached, or the first of the others that can. */
  async #ready(): Promise<{ name: string; client: Client }> {
    let why = '';
    for (let tried = 0; tried < this.#endpoints.length; tried++) {
      if (this.#isClosed) throw new KvstoreError('CLOSED', 'the client is closed');
      const endpoint = this.#endpoints[this.#current]!;
      const error = await new Promise<Error | undefined>((resolve) => {
        endpoint.client.waitForReady(Date.now() + this.#timeoutMs / this.#endpoints.length, resolve);
      });
      if (error === undefined || error === null) return endpoint;
      why = error.message;
      this.#leave(endpoint);
    }
    const context = { endpoints: this.#endpoints.map(({ name }) => name).join(',') };
    throw new KvstoreError('UNAVAILABLE', `no etcd endpoint can be reached: ${why}`, context);
  }

  #leave(endpoint: { client: Client }): void {
    if (this.#endpoints[this.#current] === endpoint) this.#current = (this.#current + 1) % this.#endpoints.length;
  }
}

interface Target {
  target: string;
  credentials: ChannelCredentials;
  /** What to name in the TLS greeting, where it cannot be the host. */
  serverName?: string;
}

/** @throws BAD_INPUT */
function targetOf(endpoint: string, tls: EtcdTls | undefined): Target {
  const match = /^(?:(https?):\/\/)?((?:\[([0-9a-fA-F:.]+)\]|([^/:]+)):\d+)\/?$/.exec(endpoint);
  if (match === null) {
    const want = 'want http://host:port, https://host:port or host:port';
    throw new KvstoreError('BAD_INPUT', `etcd endpoint "${endpoint}": ${want}`);
  }
  const target = match[2]!;
  const host = match[3] ?? match[4]!;
  const isTls = match[1] === 'https' || (match[1] === undefined && tls !== undefined);
  if (!isTls) return { target, credentials: grpcCredentials.createInsecure() };
  const { ca = null, key = null, cert = null } = tls ?? {};
  if (isIP(host) === 0) return { target, credentials: grpcCredentials.createSsl(ca, key, cert) };
  // Node refuses an address as the name in the greeting; the certificate is still held against the address.
  const checkServerIdentityOfHost = (_name: string, certificate: PeerCertificate) =>
    checkServerIdentity(host, certificate);
  const verify = { checkServerIdentity: checkServerIdentityOfHost };
  return { target, credentials: grpcCredentials.createSsl(ca, key, cert, verify), serverName: 'etcd' };
}

/** A stream that ended because its member went away, rather than because of what was asked. */
export const isLost = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (LOST as readonly unknown[]).includes(error.code);

/** CANCELLED, UNKNOWN and INTERNAL are what transports make of a member that dies in the middle of a stream. */
const LOST = [1, 2, STATUS.internal, STATUS.unavailable, 'UNAVAILABLE'];
