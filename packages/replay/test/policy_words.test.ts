import type { MapStep } from '@ciliate/bpf';
import { expect, test } from 'vitest';
import { whyThisEntry } from '../src/trace/policy_words.ts';

interface Entry {
  deny?: true;
  bits: number;
  priority?: number;
}

/** struct policy_entry: proxy port, flags (deny; prefix length from bit 3), authentication, priority. */
const entry = ({ deny, bits, priority = 0 }: Entry): Uint8Array =>
  Uint8Array.of(0, 0, (deny ? 1 : 0) | (bits << 3), 0, priority, 0, 0, 0);

const lookup = (found: Entry | undefined): MapStep => ({
  kind: 'map',
  access: 'lookup',
  map: 'cilium_policy_v2_00001',
  key: new Uint8Array(12),
  value: found && entry(found),
  matched: undefined,
});

const rows: [name: string, lookups: (Entry | undefined)[], why: RegExp | undefined][] = [
  ['nothing was found', [undefined, undefined], undefined],
  ['policy was not looked up', [], undefined],
  ['only this identity has an entry', [{ bits: 24 }, undefined], /the only one/],
  ['only any identity has one', [undefined, { bits: 0 }], /the only one/],
  ['this identity is denied: no second lookup', [{ deny: true, bits: 0 }], /no second lookup/],
  ['any identity is denied, however precise the other is', [{ bits: 24 }, { deny: true, bits: 0 }], /a deny wins/],
  [
    'the priority is higher for any identity',
    [
      { bits: 24, priority: 1 },
      { bits: 8, priority: 2 },
    ],
    /priority wins: for any/,
  ],
  [
    'the priority is higher for this one',
    [
      { bits: 8, priority: 2 },
      { bits: 24, priority: 1 },
    ],
    /priority wins: for this/,
  ],
  ['the prefix is longer for any identity', [{ bits: 8 }, { bits: 24 }], /longer prefix wins: 24 bits for any/],
  ['the prefix is longer for this one', [{ bits: 20 }, { bits: 8 }], /longer prefix wins: 20 bits for this/],
  ['all is equal', [{ bits: 24 }, { bits: 24 }], /the entry that names the identity wins/],
];

test.each(rows)('%s', (_name, lookups, why) => {
  const said = whyThisEntry(lookups.map(lookup));
  if (why === undefined) expect(said).toBeUndefined();
  else expect(said).toMatch(why);
});
