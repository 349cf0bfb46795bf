import type { MapStateEntry } from './types/entry.ts';
import { broaderOrEqual, formatKey, type MapStateKey, prefixLength } from './types/key.ts';

/** One write to a policy map. */
export type MapWrite =
  | { readonly op: 'put'; readonly entry: MapStateEntry }
  | { readonly op: 'delete'; readonly key: MapStateKey };

/** What a policy map holds under a key; as much as is needed to order the writes. */
export type HeldEntry = Pick<MapStateEntry, 'deny' | 'proxyPortPriority'>;

/**
 * The order in which to write changes one by one into a map that packets are looked up in meanwhile, so that no packet
 * gets further than the old or the new policy lets it, neither through nor past the proxy:
 * 1. denies; 2. the allows that are gone and would hide one of these; 3. allows that hide nothing stronger, the stronger
 * and more specific ones first, so that a broad one never shows before what is carved out of it; 4. plain allows that are
 * gone, broad ones first for the same reason; 5. allows in the place of, or within, something stronger; 6. what was
 * stronger and is gone, denies last. Of two allows the one of higher proxy priority is the stronger.
 * Cilium makes no such promise: it writes all additions, then deletes.
 *
 * @param puts entries that are new or different
 * @param deletes keys that are gone
 * @param held what the map holds under a key now, undefined for nothing
 */
export function orderWrites(
  puts: Iterable<MapStateEntry>,
  deletes: Iterable<MapStateKey>,
  held: (key: MapStateKey) => HeldEntry | undefined,
): MapWrite[] {
  const entries = [...puts].sort((a, b) => strength(b) - strength(a) || bySpecificity(a.key, b.key));
  const gone = [...deletes]
    .map((key) => ({ key, strength: strength(held(key)) }))
    .sort((a, b) => a.strength - b.strength || bySpecificity(b.key, a.key));
  const denies = entries.filter(({ deny }) => deny);
  const denied = new Set(denies.map(({ key }) => formatKey(key)));
  const hidesDeny = new Set(gone.filter(({ key }) => some(broaderOrEqual(key), (one) => denied.has(formatKey(one)))));
  const others = gone.filter((one) => !hidesDeny.has(one));
  const allows = entries.filter(({ deny }) => !deny);
  const hides = new Set(
    allows.filter((entry) => some(broaderOrEqual(entry.key), (one) => strength(held(one)) > strength(entry))),
  );
  return [
    ...denies.map(put),
    ...[...hidesDeny].map(remove),
    ...allows.filter((entry) => !hides.has(entry)).map(put),
    ...others.filter((one) => one.strength === 0).map(remove),
    ...[...hides].map(put),
    ...others.filter((one) => one.strength > 0).map(remove),
  ];
}

/** Of an allow the proxy's priority; above all others for a deny. */
const strength = (entry: HeldEntry | undefined): number => (entry?.deny ? 256 : (entry?.proxyPortPriority ?? 0));

/** The more specific one first. */
const bySpecificity = (a: MapStateKey, b: MapStateKey): number => prefixLength(b) - prefixLength(a);

const put = (entry: MapStateEntry): MapWrite => ({ op: 'put', entry });
const remove = ({ key }: { key: MapStateKey }): MapWrite => ({ op: 'delete', key });

function some<T>(all: Iterable<T>, test: (one: T) => boolean): boolean {
  for (const one of all) if (test(one)) return true;
  return false;
}
