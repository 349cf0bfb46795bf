import { expect, test } from 'vitest';
import { IdPool } from '../src/id_pool.ts';

test('a draw of 0 is the lowest free number, whatever came and went before', () => {
  const pool = new IdPool({ min: 256, max: 259 }, () => 0);
  expect([pool.lease(), pool.lease()]).toEqual([256, 257]);
  pool.release(256);
  pool.remove(258); // seen in use
  expect([pool.lease(), pool.lease(), pool.lease()]).toEqual([256, 259, undefined]);
});

test('a leased number that was seen in use does not come back when its lease ends', () => {
  const pool = new IdPool({ min: 256, max: 256 }, () => 0);
  pool.lease();
  pool.remove(256);
  pool.release(256);
  expect(pool.lease()).toBeUndefined();
  pool.insert(256); // its master key was deleted
  pool.insert(300); // another cluster's
  expect([pool.lease(), pool.lease()]).toEqual([256, undefined]);
});
