/** A process of its own: fills a store in memory with so many keys, and prints its resident bytes. */
import { EmbeddedStore } from '@ciliate/kvstore';

const keys = Number(process.argv[2]);
const store = new EmbeddedStore({ nowNs: () => process.hrtime.bigint() });
for (let i = 0; i < keys; i++)
  await store.put({
    key: `cilium/state/ip/v1/default/10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`,
    value: `v${i}`.padEnd(100, 'x'),
    leaseId: 0n,
  });
global.gc?.();
console.log(process.memoryUsage.rss());
