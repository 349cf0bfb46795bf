import type { handleUnaryCall, ServerUnaryCall, sendUnaryData, UntypedHandleCall } from '@grpc/grpc-js';
import type { EmbeddedStore } from '../embedded.ts';
import { KvstoreError, STATUS } from '../errors.ts';
import type { MakeHeader } from './codec.ts';
import { writeError } from './status.ts';

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

export type Handlers = Record<string, UntypedHandleCall>;

/** A handler from a function: what it throws becomes the call's status. */
export function unary<Request, Response extends object>(
  answer: (request: Request) => Promise<Response> | Response,
): handleUnaryCall<object, object> {
  return async (call: ServerUnaryCall<object, object>, reply: sendUnaryData<object>) => {
    try {
      reply(null, await answer(call.request as Request));
    } catch (error) {
      reply(writeError(error));
    }
  };
}

/** A method that etcd has and this store has not: refused by its name. */
export const refused = (name: string, why: string): handleUnaryCall<object, object> => {
  return (_call, reply) => reply({ code: STATUS.unimplemented, details: `${name}: ${why}` });
};

/** etcd's --max-request-bytes. */
const MAX_REQUEST_BYTES = 1.5 * 1024 * 1024;

/** @throws REQUEST_TOO_LARGE */
export function checkSize(bytes: number): void {
  if (bytes > MAX_REQUEST_BYTES)
    throw new KvstoreError('REQUEST_TOO_LARGE', 'etcdserver: request is too large', { bytes });
}
