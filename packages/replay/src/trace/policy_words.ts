import type { MapStep } from '@ciliate/bpf';
import { POLICY_ENTRY, POLICY_ENTRY_MASK } from '@ciliate/maps';

/**
 * Why of the two entries that the lookups for this identity and for any identity found, the one was chosen. The rule is
 * `policyCanAccess`'s: 1. a deny; 2. higher proxy port priority; 3. longer prefix; 4. the entry that names an identity.
 * @param lookups of the policy map, in order; the second is not made after a deny
 */
export function whyThisEntry(lookups: readonly MapStep[]): string | undefined {
  const [l3, l4] = lookups.map(({ value }) => value);
  if (l3 === undefined && l4 === undefined) return undefined;
  if (l3 !== undefined && isDeny(l3)) return 'a deny for this identity wins, so that there is no second lookup';
  if (l3 === undefined || l4 === undefined) return 'it is the only one';
  if (isDeny(l4)) return 'a deny wins';
  const byPriority = priority(l4) - priority(l3);
  if (byPriority !== 0) return `the higher proxy port priority wins: for ${byPriority > 0 ? 'any' : 'this'} identity`;
  const byPrefix = prefixBits(l4) - prefixBits(l3);
  if (byPrefix > 0)
    return `the longer prefix wins: ${prefixBits(l4)} bits for any identity, ${prefixBits(l3)} for this one`;
  if (byPrefix < 0)
    return `the longer prefix wins: ${prefixBits(l3)} bits for this identity, ${prefixBits(l4)} for any`;
  return 'both are as precise, so the entry that names the identity wins';
}

const isDeny = (entry: Uint8Array): boolean => (entry[POLICY_ENTRY.flags]! & POLICY_ENTRY_MASK.deny) !== 0;
const priority = (entry: Uint8Array): number => entry[POLICY_ENTRY.proxyPortPriority]!;
/** lpm_prefix_length, bits 3..7 of the flags. */
const prefixBits = (entry: Uint8Array): number => entry[POLICY_ENTRY.flags]! >>> 3;
