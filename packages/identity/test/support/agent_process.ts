/** An agent's allocator in a process of its own: `agent_process.ts ENDPOINT NODE`; asked over IPC, one answer a question. */
import { etcdClient } from '@ciliate/kvstore';
import { Labels } from '@ciliate/labels';
import { IdentityAllocator, IdentityCache } from '../../src/index.ts';

export type Question =
  | { readonly id: number; readonly call: 'allocate' | 'release'; readonly labels: string }
  | { readonly id: number; readonly call: 'sync' };
export type Answer = { readonly id: number } & ({ readonly identity?: number } | { readonly error: string });

const [endpoint, node] = process.argv.slice(2);
const allocator = await IdentityAllocator.open({
  client: etcdClient({ endpoints: [endpoint!] }),
  cache: new IdentityCache(),
  node: node!,
  random: Math.random,
  range: { min: 256, max: 256 + 63 }, // few numbers: agents often want the same
  onProblem: (error) => console.error(error),
});

async function answer(question: Question): Promise<object> {
  if (question.call === 'sync') {
    await allocator.sync();
    return {};
  }
  const labels = Labels.fromSortedList(question.labels);
  if (question.call === 'allocate') return { identity: (await allocator.allocate(labels)).identity };
  await allocator.release(labels);
  return {};
}

process.on('message', (question: Question) => {
  answer(question).then(
    (result) => process.send!({ id: question.id, ...result }),
    (error) => process.send!({ id: question.id, error: `${error}` }),
  );
});
process.on('disconnect', () => process.exit()); // the test is over
process.send!({ id: 0 });
