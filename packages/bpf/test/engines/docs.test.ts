import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const ROOT = new URL('../../../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');

test('the example in "Add a lookup engine" is an engine of the registry, line by line', () => {
  const [, example] = /```ts\n(.*?)```/s.exec(read('docs/add-a-lookup-engine.md')) ?? [];
  expect(example).toBe(read('packages/bpf/src/engines/sorted_list.ts'));
});
