import type { EmbeddedStore } from '../embedded.ts';
import { KvstoreError } from '../errors.ts';
import type { MakeHeader } from './codec.ts';
import type { StatusError } from './status.ts';

/** What every service needs. */
export interface ServiceContext {
  store: EmbeddedStore;
  header: MakeHeader;
  memberId: bigint;
  /** For members' lists. */
  clientUrl: string;
  /** Cleared when the server stops: called with the time between two progress reports of a watch. */
  every: (intervalMs: number, call: () => void) => () => void;
}

/** One request, one answer; what it throws becomes the call's status. */
export type UnaryHandler = (request: never) => Promise<object> | object;

/** The server's side of a call that is a stream. */
export interface StreamCall {
  /** More is waiting for the client than should: write no more before `drained`. */
  readonly isFull: boolean;
  /** Resolves when the client took what waited for it, or is gone. */
  drained(): Promise<void>;
  write(response: object): void;
  /** @param status without one, all went well */
  end(status?: StatusError): void;
}

/** What a stream's handler is told. */
export interface StreamListener {
  receive(request: never): void;
  /** The client will send no more. */
  finished(): void;
  /** The call is over, by whomever. */
  closed(): void;
}

export type StreamHandler = (call: StreamCall) => StreamListener;

/** By the method's name. Which of the two it is says the list of methods. */
export type Handlers = Record<string, UnaryHandler | StreamHandler>;

/** A method that etcd has and this store has not: refused by its name. */
export const refused = (name: string, why: string): UnaryHandler => {
  return () => {
    throw new KvstoreError('UNIMPLEMENTED', `${name}: ${why}`);
  };
};

/** etcd's --max-request-bytes. */
const MAX_REQUEST_BYTES = 1.5 * 1024 * 1024;

/** @throws REQUEST_TOO_LARGE */
export function checkSize(bytes: number): void {
  if (bytes > MAX_REQUEST_BYTES)
    throw new KvstoreError('REQUEST_TOO_LARGE', 'etcdserver: request is too large', { bytes });
}
