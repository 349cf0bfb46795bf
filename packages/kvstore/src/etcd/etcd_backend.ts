import type {
  Backend,
  BackendWatch,
  DeleteArgs,
  DeleteResult,
  LeaseStatus,
  PutArgs,
  PutResult,
  RangeArgs,
  RangeResult,
  TxnArgs,
  TxnResult,
  WatchArgs,
} from '../backend.ts';
import type { KvstoreClient, LeaseId } from '../client.ts';
import { etcdError, KvstoreError } from '../errors.ts';
import {
  readDeleteResponse,
  readPutResponse,
  readRangeResponse,
  readTxnResponse,
  writeDeleteRequest,
  writePutRequest,
  writeRangeRequest,
  writeTxnRequest,
} from '../grpc/codec.ts';
import {
  type DeleteRangeResponse,
  fromBigint,
  type Header,
  type Number64,
  type PutResponse,
  type RangeResponse,
  type TxnResponse,
  toBigint,
  toNumber,
} from '../grpc/schema.ts';
import { readError } from '../grpc/status.ts';
import { fromArray } from '../keys.ts';
import { StoreClient } from '../store_client.ts';
import { type Connection, EtcdConnection, type EtcdOptions } from './connection.ts';
import { EtcdWatch } from './etcd_watch.ts';

/**
 * A client of an etcd v3 cluster. It connects when it is first used, and again whenever the connection is lost.
 * @throws BAD_INPUT
 */
export function etcdClient(options: EtcdOptions): KvstoreClient {
  const backend = new EtcdBackend(new EtcdConnection(options));
  return new StoreClient(backend, () => backend.close());
}

/** etcd v3 over gRPC. Reads move on to another member when one cannot be reached; a write that may have been done not. */
export class EtcdBackend implements Backend {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async range(request: RangeArgs): Promise<RangeResult> {
    const answer = await this.#connection.call('KV', 'Range', writeRangeRequest(request), true);
    return readRangeResponse(answer as RangeResponse);
  }

  async put(request: PutArgs): Promise<PutResult> {
    return readPutResponse((await this.#connection.call('KV', 'Put', writePutRequest(request), false)) as PutResponse);
  }

  async deleteRange(request: DeleteArgs): Promise<DeleteResult> {
    const answer = await this.#connection.call('KV', 'DeleteRange', writeDeleteRequest(request), false);
    return readDeleteResponse(answer as DeleteRangeResponse);
  }

  async txn(request: TxnArgs): Promise<TxnResult> {
    return readTxnResponse((await this.#connection.call('KV', 'Txn', writeTxnRequest(request), false)) as TxnResponse);
  }

  async compact(revision: number): Promise<number> {
    const answer = (await this.#connection.call('KV', 'Compact', { revision }, false)) as { header: Header };
    return toNumber(answer.header.revision);
  }

  async leaseGrant(ttlSeconds: number, id: LeaseId): Promise<{ id: LeaseId; ttlSeconds: number }> {
    const request = { TTL: Math.ceil(ttlSeconds), ID: fromBigint(id) };
    const { ID, TTL } = (await this.#connection.call('Lease', 'LeaseGrant', request, false)) as LeaseAnswer;
    return { id: toBigint(ID), ttlSeconds: toNumber(TTL) };
  }

  /** One request on a stream of its own. */
  async leaseKeepAlive(id: LeaseId): Promise<number> {
    const { stream, endpoint, leave } = await this.#connection.stream('Lease', 'LeaseKeepAlive');
    const answer = await new Promise<LeaseAnswer>((resolve, reject) => {
      stream.on('data', resolve);
      stream.on('error', (error) => {
        leave();
        reject(readError(error as never, endpoint));
      });
      stream.on('end', () =>
        reject(new KvstoreError('UNAVAILABLE', 'the stream ended without an answer', { endpoint })),
      );
      stream.write({ ID: fromBigint(id) });
    });
    stream.end();
    const ttl = toNumber(answer.TTL);
    if (ttl <= 0) throw etcdError('LEASE_NOT_FOUND', { lease: `${id}` });
    return ttl;
  }

  async leaseRevoke(id: LeaseId): Promise<void> {
    await this.#connection.call('Lease', 'LeaseRevoke', { ID: fromBigint(id) }, false);
  }

  async leaseTimeToLive(id: LeaseId, withKeys: boolean): Promise<LeaseStatus> {
    const request = { ID: fromBigint(id), keys: withKeys };
    const answer = (await this.#connection.call('Lease', 'LeaseTimeToLive', request, true)) as LeaseAnswer;
    const { TTL, grantedTTL, keys } = answer;
    return {
      id,
      ttlSeconds: toNumber(TTL),
      grantedTtlSeconds: toNumber(grantedTTL),
      keys: keys.map(fromArray).sort(),
    };
  }

  async leases(): Promise<LeaseId[]> {
    const { leases } = (await this.#connection.call('Lease', 'LeaseLeases', {}, true)) as {
      leases: { ID: Number64 }[];
    };
    return leases.map(({ ID }) => toBigint(ID));
  }

  watch(request: WatchArgs): BackendWatch {
    return new EtcdWatch(this.#connection, request);
  }

  async close(): Promise<void> {
    this.#connection.close();
  }
}

interface LeaseAnswer {
  ID: Number64;
  TTL: Number64;
  grantedTTL: Number64;
  keys: Uint8Array[];
}
