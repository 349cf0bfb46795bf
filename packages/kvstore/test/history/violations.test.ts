import { expect, test } from 'vitest';
import type { History } from './history.ts';
import { violations } from './violations.ts';

/** A history in which nothing is wrong, to be spoiled. */
function sound(): History {
  const put = (called: number, key: string, value: string, revision: number) => ({
    ...{ called, returned: called + 1, key, revision },
    input: { type: 'put' as const, value },
    output: { type: 'put' as const },
  });
  const get = (called: number, key: string, value: string | null, revision: number, modRevision?: number) => ({
    ...{ called, returned: called + 1, key, revision, ...(modRevision === undefined ? {} : { modRevision }) },
    input: { type: 'get' as const },
    output: { type: 'get' as const, value },
  });
  const batches = () => [
    [{ revision: 2, type: 'put' as const, key: 'a', value: '1' }],
    [
      { revision: 3, type: 'put' as const, key: 'a', value: '2' },
      { revision: 3, type: 'put' as const, key: 'b', value: '2' },
      { revision: 4, type: 'delete' as const, key: 'a', value: '' },
    ],
    [{ revision: 5, type: 'put' as const, key: 'lease/1', value: 'x' }],
    [{ revision: 6, type: 'delete' as const, key: 'lease/1', value: '' }],
  ];
  return {
    calls: [
      put(1, 'a', '1', 2),
      put(3, 'a', '2', 3),
      put(3.1, 'b', '2', 3),
      get(5, 'a', '2', 3, 3),
      {
        ...{ called: 7, returned: 8, key: 'a', revision: 4 },
        input: { type: 'delete' },
        output: { type: 'delete', deleted: true },
      },
      get(9, 'a', null, 4),
      { called: 11, returned: 12, key: 'a', input: { type: 'put', value: '9' }, output: undefined },
    ],
    watches: [
      { fromRevision: 2, batches: batches() },
      { fromRevision: 2, batches: batches() },
    ],
    leases: [
      { key: 'lease/1', ttlMs: 2000, renewedAt: 100, endedAt: 2100, isRevoked: false },
      { key: 'lease/2', ttlMs: 2000, renewedAt: 100, isRevoked: false },
    ],
    last: { revision: 6, pairs: new Map([['b', '2']]) },
    surprises: [],
  };
}

test('a sound history has none', () => expect(violations(sound())).toEqual([]));

const planted: [name: string, spoil: (history: History) => void, message: string][] = [
  ['an acknowledged write that no watch told of', (h) => h.calls[0]!.revision!++, 'acknowledged and lost'],
  ['a revision that goes back', (h) => (h.calls[5]!.revision = 2), 'revision 2 after 4'],
  ['two writes with one revision', (h) => (h.calls[4]!.revision = 3), 'revision 3 after 3'],
  ['a read of an older value', (h) => (h.calls[3]!.output = { type: 'get', value: '1' }), 'not linearizable'],
  ['a read with another revision', (h) => (h.calls[3]!.modRevision = 2), 'a read at 3 of a saw'],
  ['a watch that leaves a revision out', (h) => h.watches[1]!.batches.splice(2, 1), '6 follows 4: a gap'],
  [
    'a watch that repeats itself',
    (h) => h.watches[1]!.batches.splice(1, 0, h.watches[1]!.batches[0]!),
    '2 again, after 2',
  ],
  ['a watch out of order', (h) => h.watches[1]!.batches[1]!.reverse(), 'revision 3 after 4'],
  ['a key twice in one revision', (h) => h.watches[1]!.batches[1]!.unshift(h.watches[1]!.batches[1]![0]!), '3 a twice'],
  [
    'a revision cut in two',
    (h) => h.watches[1]!.batches.splice(1, 1, ...h.watches[1]!.batches[1]!.map((event) => [event])),
    'revision 3 again',
  ],
  ['a watch that ends early', (h) => h.watches[1]!.batches.pop(), 'it was told up to 5, the store is at 6'],
  [
    'two watches that tell another value',
    (h) => (h.watches[1]!.batches[0]![0]!.value = '7'),
    'watches 0 and 1 disagree',
  ],
  [
    'a value from nowhere',
    (h) => {
      for (const { batches } of h.watches) batches[1]![1]!.value = '7';
    },
    'nobody wrote b 7',
  ],
  [
    'one write done twice',
    (h) => {
      for (const { batches } of h.watches) batches[2] = [{ revision: 5, type: 'put', key: 'a', value: '1' }];
    },
    'a 1 was written twice',
  ],
  ['an end that nobody told of', (h) => h.last.pairs.set('b', '3'), 'at the end there is'],
  ['a lease that ends early', (h) => (h.leases[0]!.endedAt = 2099), 'ended 1999 ms after its renewal'],
  [
    'a lease that never ends',
    (h) => {
      h.last.pairs.set('lease/2', 'x');
    },
    'lease/2 is there after its lease had to end',
  ],
  ['an error that should not be', (h) => h.surprises.push('CORRUPT'), 'a client was told: CORRUPT'],
];
test.each(planted)('found: %s', (_name, spoil, message) => {
  const history = sound();
  spoil(history);
  expect(violations(history).join('\n')).toContain(message);
});
