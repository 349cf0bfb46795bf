import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EmbeddedStore, NodeDisk, valueText } from '../src/index.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ciliate-kvstore-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const open = (path = directory) =>
  EmbeddedStore.open({ disk: new NodeDisk(path), nowNs: () => 0n, salt: () => 1, snapshotBytes: 500 });

test('what was put is there in the next life, snapshots included', async () => {
  const store = await open();
  for (let i = 0; i < 50; i++) await store.client().put(`k${i % 7}`, `${i}`);
  await store.close();
  const again = await open();
  const { entries, revision } = await again.client().getPrefix('');
  expect([entries.map(valueText), revision]).toEqual([['49', '43', '44', '45', '46', '47', '48'], 51]);
  await again.close();
});

test('a directory has one process; a dead one does not keep it', async () => {
  const store = await open();
  await expect(open()).rejects.toMatchObject({
    code: 'LOCKED',
    message: expect.stringContaining(`another process has the data directory`),
  });
  await store.close();
  writeFileSync(join(directory, 'lock'), '1 2\n'); // process 1 runs, but it did not start at 2
  await (await open()).close();
});

test('what cannot be a directory is bad input', () => {
  writeFileSync(join(directory, 'file'), '');
  expect(() => new NodeDisk(join(directory, 'file'))).toThrow('the data directory cannot be made');
});
