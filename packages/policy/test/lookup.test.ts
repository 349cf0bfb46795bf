import { expect, test } from 'vitest';
import { formatKey, lookupMapState, type MapStateKey, type MapStateValue } from '../src/index.ts';
import { allowEntry } from '../src/types/entry.ts';

const TCP = 6;
const key = (identity: number, dport = 0, portPrefixLen = dport === 0 ? 0 : 16, protocol = TCP): MapStateKey => ({
  egress: false,
  identity,
  protocol,
  dport,
  portPrefixLen,
});
const anything = (identity: number): MapStateKey => key(identity, 0, 0, 0);
const allow = allowEntry([]);
const deny: MapStateValue = { ...allow, deny: true };
const redirect: MapStateValue = { ...allow, redirect: true, filterId: 'f', parser: 'http', proxyPortPriority: 27 };
type Insert = [MapStateKey, MapStateValue];

test.each<[sentence: string, entries: Insert[], want: MapStateKey | undefined]>([
  [
    'nothing matches',
    [
      [key(8, 80), allow],
      [key(9, 81), allow],
      [key(9, 80, 16, 17), allow],
    ],
    undefined,
  ],
  [
    'the longer prefix of one identity wins',
    [
      [anything(9), allow],
      [key(9), allow],
      [key(9, 80), allow],
    ],
    key(9, 80),
  ],
  [
    'a deny for everybody wins',
    [
      [key(9, 80), allow],
      [anything(0), deny],
    ],
    anything(0),
  ],
  [
    'a deny for the identity wins',
    [
      [anything(9), deny],
      [key(0, 80), redirect],
    ],
    anything(9),
  ],
  [
    'the higher priority wins',
    [
      [key(9, 80), allow],
      [key(0), redirect],
    ],
    key(0),
  ],
  [
    'the more specific ports win',
    [
      [key(9), allow],
      [key(0, 80), allow],
    ],
    key(0, 80),
  ],
  [
    'at a tie the identity wins',
    [
      [key(9, 80), allow],
      [key(0, 80), allow],
    ],
    key(9, 80),
  ],
])('%s', (_sentence, entries, want) => {
  const state = new Map(entries.map(([where, value]) => [formatKey(where), { ...value, key: where }]));
  expect(lookupMapState(state, { egress: false, identity: 9, protocol: TCP, dport: 80 })?.key).toEqual(want);
});
