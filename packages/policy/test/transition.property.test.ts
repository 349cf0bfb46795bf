import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PolicyConflictError } from '../src/conflict.ts';
import { lookupMapState } from '../src/lookup.ts';
import { mapStateChanges } from '../src/map_changes.ts';
import { MapState, type MapStateView } from '../src/mapstate.ts';
import { SelectorCache } from '../src/selectorcache.ts';
import { orderWrites } from '../src/transition.ts';
import type { MapStateValue } from '../src/types/entry.ts';
import { formatKey, type MapStateKey } from '../src/types/key.ts';
import { FLOWS, IDENTITIES, type ModelRule, modelRules, rulesOf } from './model.ts';
import { inWords, resolve } from './rules.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

function mapStateOf(model: readonly ModelRule[]): MapStateView | undefined {
  try {
    return resolve(rulesOf(model), { cache: new SelectorCache(IDENTITIES) }).mapState;
  } catch (error) {
    if (error instanceof PolicyConflictError) return undefined;
    throw error;
  }
}

/** A policy map as packets see it, written entry by entry. */
class WrittenMap {
  readonly state = new MapState();

  constructor(initial: MapStateView) {
    for (const { key } of initial) this.put(key, initial);
  }

  put(key: MapStateKey, from: MapStateView): void {
    this.#bucket(key).byIdentity.set(key.identity, valueIn(from, key));
  }

  delete(key: MapStateKey): void {
    this.#bucket(key).byIdentity.delete(key.identity);
  }

  #bucket({ egress, protocol, dport, portPrefixLen }: MapStateKey) {
    return this.state.bucket(egress, protocol, dport, portPrefixLen);
  }
}

const valueIn = (state: MapStateView, key: MapStateKey): MapStateValue =>
  state.valueAt(key.egress, key.identity, key.protocol, key.dport, key.portPrefixLen)!;

/** How far a packet gets: 0 not at all, 1 to the proxy, 2 past it. */
const reach = (state: MapStateView): number[] =>
  FLOWS.map((flow) => {
    const entry = lookupMapState(state, flow);
    return entry === undefined || entry.deny ? 0 : entry.redirect ? 1 : 2;
  });

test('while a policy is written over another, no packet gets further than one of them lets it', () => {
  fc.assert(
    fc.property(modelRules, modelRules, (one, other) => {
      const [before, after] = [mapStateOf(one), mapStateOf(other)];
      fc.pre(before !== undefined && after !== undefined);
      const written = new WrittenMap(before);
      const [old, now] = [reach(before), reach(after)];
      const { adds, deletes } = mapStateChanges(before, after);
      const writes = orderWrites(
        adds.map((key) => after.get(key)!),
        deletes,
        (key) => before.get(key),
      );
      expect(writes).toHaveLength(adds.length + deletes.length);
      for (const write of writes) {
        if (write.op === 'put') written.put(write.entry.key, after);
        else written.delete(write.key);
        for (const [index, far] of reach(written.state).entries()) {
          if (far > Math.max(old[index]!, now[index]!))
            expect.fail(`${JSON.stringify(FLOWS[index])} gets through after ${JSON.stringify(write)}`);
        }
      }
      expect(inText(written.state)).toEqual(inText(after));
    }),
    { seed, numRuns: 150 },
  );
});

const inText = (state: MapStateView): string[] =>
  [...state].map((entry) => `${formatKey(entry.key)} ${inWords(entry)}`).sort();
