import { KvstoreError } from '../errors.ts';
import { fromBigint, type Number64, toBigint, toNumber } from './schema.ts';
import type { Handlers, ServiceContext, StreamCall, StreamListener } from './service.ts';
import { writeError } from './status.ts';

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
    LeaseGrant: async ({ TTL, ID }: WithId & { TTL: Number64 }) => {
      const { id, ttlSeconds } = await store.leaseGrant(toNumber(TTL), toBigint(ID));
      return { header: now(), ID: fromBigint(id), TTL: ttlSeconds };
    },
    LeaseRevoke: async ({ ID }: WithId) => {
      await store.leaseRevoke(toBigint(ID));
      return { header: now() };
    },
    LeaseKeepAlive: (call: StreamCall): StreamListener => ({
      receive: ({ ID }: WithId) => {
        keepAlive(ID).then(
          (answer) => call.write(answer),
          (error) => call.end(writeError(error)),
        );
      },
      finished: () => call.end(),
      closed: () => {},
    }),
    LeaseTimeToLive: async ({ ID, keys: withKeys }: WithId & { keys: boolean }) => {
      const { ttlSeconds, grantedTtlSeconds, keys } = await store.leaseTimeToLive(toBigint(ID), withKeys);
      const held = keys.map((key) => Buffer.from(key, 'latin1'));
      return { header: now(), ID, TTL: ttlSeconds, grantedTTL: grantedTtlSeconds, keys: held };
    },
    LeaseLeases: async () => ({
      header: now(),
      leases: (await store.leases()).map((id) => ({ ID: fromBigint(id) })),
    }),
  };
}
