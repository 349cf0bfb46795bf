import { expect, test } from 'vitest';
import { lookupMapState } from '../src/lookup.ts';
import { MapState } from '../src/mapstate.ts';
import { allowValue, type MapStateValue } from '../src/types/entry.ts';
import { formatKey, type MapStateKey } from '../src/types/key.ts';
import { Origins } from '../src/types/origins.ts';
import { inWords } from './rules.ts';

const TCP = 6;
const key = (identity: number, dport = 0, portPrefixLen = dport === 0 ? 0 : 16, protocol = TCP): MapStateKey => ({
  egress: false,
  identity,
  protocol,
  dport,
  portPrefixLen,
});
const anything = (identity: number): MapStateKey => key(identity, 0, 0, 0);
const allow = allowValue(Origins.none);
const deny: MapStateValue = { ...allow, deny: true };
const redirect = (priority: number): MapStateValue => ({
  ...allow,
  redirect: { id: 'f', parser: 'http', listener: '', priority },
});
const auth = (authType: 0 | 1 | 2, value = allow, authExplicit = true): MapStateValue => ({
  ...value,
  authType,
  authExplicit,
});
type Insert = [MapStateKey, MapStateValue];

test.each<[sentence: string, entries: Insert[], want: string]>([
  [
    'nothing matches',
    [
      [key(8, 80), allow],
      [key(9, 81), allow],
      [key(9, 80, 16, 17), allow],
    ],
    'default deny',
  ],
  [
    'the longer prefix of one identity wins',
    [
      [anything(9), allow],
      [key(9), allow],
      [key(9, 80), allow],
    ],
    'ingress:9:6:80/16 allow',
  ],
  ['a range matches every port in it', [[key(9, 64, 10), allow]], 'ingress:9:6:64/10 allow'],
  [
    'a deny for everybody wins',
    [
      [key(9, 80), allow],
      [anything(0), deny],
    ],
    'ingress:0:0:0/0 deny',
  ],
  [
    'a deny for the identity wins',
    [
      [anything(9), deny],
      [key(0, 80), redirect(27)],
    ],
    'ingress:9:0:0/0 deny',
  ],
  [
    'of two denies that of the identity is named',
    [
      [anything(9), deny],
      [key(0, 80), deny],
    ],
    'ingress:9:0:0/0 deny',
  ],
  [
    'the higher priority wins',
    [
      [key(9, 80), allow],
      [key(0), redirect(27)],
    ],
    'ingress:0:6:0/0 redirect http 27',
  ],
  [
    'the more specific ports win',
    [
      [key(9), allow],
      [key(0, 80), allow],
    ],
    'ingress:0:6:80/16 allow',
  ],
  [
    'at a tie the identity wins',
    [
      [key(9, 80), allow],
      [key(0, 80), allow],
    ],
    'ingress:9:6:80/16 allow',
  ],
  [
    'the winner takes the authentication of the loser',
    [
      [key(9, 80), allow],
      [anything(0), auth(1)],
    ],
    'ingress:9:6:80/16 allow auth 1 derived',
  ],
  [
    'if it is stronger',
    [
      [key(9, 80), auth(2, allow, false)],
      [anything(0), auth(1)],
    ],
    'ingress:9:6:80/16 allow auth 2 derived',
  ],
  [
    'not if it was asked itself',
    [
      [key(9, 80), auth(0)],
      [anything(0), auth(1)],
    ],
    'ingress:9:6:80/16 allow',
  ],
  [
    'not if it won by priority',
    [
      [key(9, 80), redirect(27)],
      [anything(0), auth(1)],
    ],
    'ingress:9:6:80/16 redirect http 27',
  ],
])('%s', (_sentence, entries, want) => {
  const state = new MapState();
  for (const [{ egress, identity, protocol, dport, portPrefixLen }, value] of entries)
    state.add(state.bucket(egress, protocol, dport, portPrefixLen), identity, value);
  const found = lookupMapState(state, { egress: false, identity: 9, protocol: TCP, dport: 80 });
  expect(found === undefined ? inWords(found) : `${formatKey(found.key)} ${inWords(found)}`).toBe(want);
});
