import type { ServerDuplexStream } from '@grpc/grpc-js';
import { KvstoreError } from '../errors.ts';
import { fromBigint, type Number64, toBigint, toNumber } from './schema.ts';
import { writeError } from './status.ts';
import { type Handlers, type ServiceContext, unary } from './unary.ts';

interface WithId {
  ID: Number64;
}

export function leaseService({ store, header }: ServiceContext): Handlers {
  const now = () => header(store.revision);
  const keepAlive = async (id: Number64): Promise<object> => {
    try {
      return { header: now(), ID: id, TTL: await store.leaseKeepAlive(toBigint(id)) };
    } catch (error) {
      // A lease that is gone is answered with no time at all; the stream serves other leases too.
      if (error instanceof KvstoreError && error.code === 'LEASE_NOT_FOUND') return { header: now(), ID: id, TTL: 0 };
      throw error;
    }
  };
  return {
    LeaseGrant: unary(async ({ TTL, ID }: WithId & { TTL: Number64 }) => {
      const { id, ttlSeconds } = await store.leaseGrant(toNumber(TTL), toBigint(ID));
      return { header: now(), ID: fromBigint(id), TTL: ttlSeconds };
    }),
    LeaseRevoke: unary(async ({ ID }: WithId) => {
      await store.leaseRevoke(toBigint(ID));
      return { header: now() };
    }),
    LeaseKeepAlive: (call: ServerDuplexStream<WithId, object>) => {
      call.on('data', ({ ID }: WithId) => {
        keepAlive(ID).then(
          (answer) => call.write(answer),
          (error) => call.emit('error', writeError(error)),
        );
      });
      call.on('end', () => call.end());
      call.on('error', () => {}); // the client went away
    },
    LeaseTimeToLive: unary(async ({ ID, keys: withKeys }: WithId & { keys: boolean }) => {
      const { ttlSeconds, grantedTtlSeconds, keys } = await store.leaseTimeToLive(toBigint(ID), withKeys);
      const held = keys.map((key) => Buffer.from(key, 'latin1'));
      return { header: now(), ID, TTL: ttlSeconds, grantedTTL: grantedTtlSeconds, keys: held };
    }),
    LeaseLeases: unary(async () => ({
      header: now(),
      leases: (await store.leases()).map((id) => ({ ID: fromBigint(id) })),
    })),
  };
}
