import type { PolicyEntry, PolicyKey, PolicyMap } from '@ciliate/maps';
import {
  type EndpointPolicy,
  formatKey,
  type HeldEntry,
  type MapStateChanges,
  type MapStateEntry,
  type MapStateKey,
  orderWrites,
} from '@ciliate/policy';
import { proxyPortOf } from './proxy_ports.ts';

/** How many entries were written and removed. */
export interface Written {
  readonly written: number;
  readonly removed: number;
}

/**
 * Makes a policy map hold what the policy says, entry by entry, in an order in which no packet meanwhile gets through that
 * neither the old nor the new policy lets through. Reads the whole map.
 */
export function syncPolicyMap(map: PolicyMap, policy: EndpointPolicy): Written {
  const held = new Map(map.entries().map((entry) => [textOf(entry), entry]));
  const wanted = new Map([...policy.mapState].map((entry) => [textOf(entry.key), entry]));
  const puts = [...wanted].filter(([text, entry]) => {
    const before = held.get(text);
    return before === undefined || !sameEntry(before, mapEntryOf(entry));
  });
  const gone = [...held].filter(([text]) => !wanted.has(text));
  return write(
    map,
    puts.map(([, entry]) => entry),
    gone.map(([, key]) => key),
    (key) => held.get(textOf(key)),
  );
}

/** The same for a map that held what the policy said before these changes. Touches nothing else. */
export function writeChanges(map: PolicyMap, policy: EndpointPolicy, { adds, deletes }: MapStateChanges): Written {
  if ([...adds, ...deletes].some(sharesItsPlace)) return syncPolicyMap(map, policy);
  const puts = adds.map((key) => policy.mapState.get(key)!);
  return write(map, puts, deletes, (key) => map.get(mapKeyOf(key)));
}

function write(
  map: PolicyMap,
  puts: readonly MapStateEntry[],
  deletes: readonly MapStateKey[],
  held: (key: MapStateKey) => HeldEntry | undefined,
): Written {
  for (const one of orderWrites(puts, deletes, held)) {
    if (one.op === 'put') map.update(mapKeyOf(one.entry.key), mapEntryOf(one.entry));
    else map.delete(one.key);
  }
  return { written: puts.length, removed: deletes.length };
}

/** The map has no ranges that begin with port 0: Cilium writes them as every port of the protocol. */
const mapKeyOf = (key: PolicyKey): PolicyKey => (key.dport === 0 ? { ...key, portPrefixLen: 0 } : key);
const textOf = (key: PolicyKey): string => formatKey(mapKeyOf(key));
/** May another key of the policy be the same one in the map? */
const sharesItsPlace = ({ protocol, dport }: MapStateKey): boolean => protocol !== 0 && dport === 0;

const mapEntryOf = (entry: MapStateEntry): PolicyEntry => ({
  deny: entry.deny,
  proxyPort: proxyPortOf(entry),
  proxyPortPriority: entry.proxyPortPriority,
  authType: entry.authType,
  hasExplicitAuth: entry.authExplicit,
});

const sameEntry = (a: PolicyEntry, b: PolicyEntry): boolean =>
  a.deny === b.deny &&
  a.proxyPort === b.proxyPort &&
  a.proxyPortPriority === b.proxyPortPriority &&
  a.authType === b.authType &&
  a.hasExplicitAuth === b.hasExplicitAuth;
