import { type Allocator, IdentityAllocator, type IdentityCache, identityRange } from '@ciliate/identity';
import type { ObjectStore } from '@ciliate/k8s';
import { EmbeddedStore, type KvstoreClient } from '@ciliate/kvstore';
import type { Labels } from '@ciliate/labels';
import { formatIp, type IpAddress } from '@ciliate/packet';
import type { Logger } from 'pino';
import { CrdAllocator } from './crd/crd_allocator.ts';
import { seededRandom } from './random.ts';

export interface AllocationOptions {
  /** Shared with other agents; undefined: a store of the agent's own, in memory. */
  readonly kvstore: KvstoreClient | undefined;
  readonly identities: IdentityCache;
  readonly clusterId: number;
  /** Tells agents apart. */
  readonly nodeIp: IpAddress;
  readonly seed: number;
  readonly log: Logger;
}

/** How an agent's pods get their numbers, and what has to be done for that to stay so. */
export interface IdentityAllocation {
  readonly allocator: Allocator;
  /** Nobody here uses these labels any more. */
  unused(labels: Labels): Promise<void>;
  /** To be called well within 900 s. */
  sync(): Promise<void>;
  /** The agent and its pods are gone. */
  close(): Promise<void>;
}

/** Over the key-value store. In a store of its own an agent is the operator too, and frees numbers at once. */
export async function allocationOnKvstore(options: AllocationOptions): Promise<IdentityAllocation> {
  const { kvstore, identities, clusterId, nodeIp, seed, log } = options;
  const node = formatIp(nodeIp);
  const allocator = await IdentityAllocator.open({
    client: kvstore ?? new EmbeddedStore({ nowNs: () => process.hrtime.bigint() }).client(),
    cache: identities,
    node,
    // Agents of one seed would all choose the same numbers, and get in each other's way.
    random: seededRandom(kvstore === undefined ? seed : seed ^ hashOf(node)),
    range: identityRange(clusterId),
    onProblem: (err) => log.error({ err }, 'identities'),
  });
  return {
    allocator,
    unused: async (labels) => {
      if (kvstore === undefined) await allocator.collect(labels);
    },
    sync: async () => {
      await allocator.keepAlive();
      await allocator.sync();
    },
    close: () => allocator.close({ isGone: true }),
  };
}

/** As CiliumIdentity objects; the operator frees numbers. */
export function allocationOnCrd(
  store: ObjectStore,
  { identities, clusterId, seed }: Pick<AllocationOptions, 'identities' | 'clusterId' | 'seed'>,
): IdentityAllocation {
  const random = seededRandom(seed);
  const allocator = new CrdAllocator({ store, cache: identities, random, range: identityRange(clusterId) });
  return {
    allocator,
    unused: async () => {},
    sync: async () => allocator.sync(),
    close: async () => allocator.close(),
  };
}

/** FNV-1a, 32 bits. */
const hashOf = (text: string): number =>
  [...Buffer.from(text)].reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193), 0x811c9dc5) >>> 0;
