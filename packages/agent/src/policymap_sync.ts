import type { PolicyEntry, PolicyKey, PolicyMap } from '@ciliate/maps';
import { type EndpointPolicy, formatKey, type MapStateEntry, orderWrites } from '@ciliate/policy';

/**
 * Makes a policy map hold what the policy says, entry by entry, in an order in which no packet meanwhile gets through that
 * neither the old nor the new policy lets through.
 * @param proxyPort of redirects, host order
 * @returns how many entries were written and removed
 */
export function syncPolicyMap(
  map: PolicyMap,
  policy: EndpointPolicy,
  proxyPort: number,
): { written: number; removed: number } {
  const held = new Map(map.entries().map((entry) => [textOf(entry), entry]));
  const wanted = new Map([...policy.mapState].map((entry) => [textOf(entry.key), entry]));
  const puts = [...wanted].filter(([text, entry]) => {
    const before = held.get(text);
    return before === undefined || !sameEntry(before, mapEntryOf(entry, proxyPort));
  });
  const gone = [...held].filter(([text]) => !wanted.has(text));
  const writes = orderWrites(
    puts.map(([, entry]) => entry),
    gone.map(([, key]) => key),
    (key) => held.get(textOf(key)),
  );
  for (const write of writes) {
    if (write.op === 'put') map.update(mapKeyOf(write.entry.key), mapEntryOf(write.entry, proxyPort));
    else map.delete(write.key);
  }
  return { written: puts.length, removed: gone.length };
}

/** The map has no ranges that begin with port 0: Cilium writes them as every port of the protocol. */
const mapKeyOf = (key: PolicyKey): PolicyKey => (key.dport === 0 ? { ...key, portPrefixLen: 0 } : key);
const textOf = (key: PolicyKey): string => formatKey(mapKeyOf(key));

const mapEntryOf = (entry: MapStateEntry, proxyPort: number): PolicyEntry => ({
  deny: entry.deny,
  proxyPort: entry.redirect ? proxyPort : 0,
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
