/** An agent: `identities_agent.ts ENDPOINT NODE CALLERS`; takes new numbers for so many milliseconds when told to. */
import { etcdClient } from '@ciliate/kvstore';
import { Labels } from '@ciliate/labels';
import { IdentityAllocator, IdentityCache } from '../../packages/identity/src/index.ts';

export interface Taken {
  readonly count: number;
  readonly tookMs: number;
  readonly times: readonly number[];
}

const [endpoint, node, callers] = process.argv.slice(2);
const client = etcdClient({ endpoints: [endpoint!], timeoutMs: 20_000 });
const cache = new IdentityCache();
const allocator = await IdentityAllocator.open({ client, cache, node: node!, random: Math.random });
let next = 0;

async function take(lastsMs: number): Promise<Taken> {
  const times: number[] = [];
  const start = performance.now();
  const loop = async (): Promise<void> => {
    for (let before = performance.now(); before - start < lastsMs; ) {
      await allocator.allocate(Labels.parse([`k8s:app=${node}-${next++}`, 'k8s:io.kubernetes.pod.namespace=default']));
      const after = performance.now();
      times.push(after - before);
      before = after;
    }
  };
  await Promise.all(Array.from({ length: Number(callers) }, loop));
  return { count: times.length, tookMs: performance.now() - start, times };
}

process.on('message', (lastsMs: number) => void take(lastsMs).then((taken) => process.send!(taken)));
process.on('disconnect', () => process.exit());
process.send!('ready');
