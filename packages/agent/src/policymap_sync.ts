import type { PolicyKey, PolicyMap } from '@ciliate/maps';
import { type EndpointPolicy, formatKey } from '@ciliate/policy';

/**
 * Makes a policy map hold what the policy says, entry by entry: what is new or different first, then what is gone.
 * @param proxyPort of redirects, host order
 * @returns how many entries were written and removed
 */
export function syncPolicyMap(
  map: PolicyMap,
  policy: EndpointPolicy,
  proxyPort: number,
): { written: number; removed: number } {
  const existing = new Map(map.entries().map((entry) => [formatKey(entry), entry]));
  let written = 0;
  for (const [text, { key, deny, redirect, proxyPortPriority }] of policy.mapState) {
    const entry = { deny, proxyPort: redirect ? proxyPort : 0, proxyPortPriority, authType: 0, hasExplicitAuth: false };
    const before = existing.get(text);
    existing.delete(text);
    const same = before?.deny === deny && before.proxyPort === entry.proxyPort;
    if (same && before.proxyPortPriority === proxyPortPriority) continue;
    map.update(key, entry);
    written++;
  }
  const gone: PolicyKey[] = [...existing.values()];
  for (const key of gone) map.delete(key);
  return { written, removed: gone.length };
}
