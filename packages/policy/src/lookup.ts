import type { MapStateView } from './mapstate.ts';
import { entryOf, type MapStateEntry, type MapStateValue, priorityOf } from './types/entry.ts';
import { maskPort, prefixLength } from './types/key.ts';

/** A packet as policy sees it. */
export interface FlowKey {
  readonly egress: boolean;
  /** Numeric identity of the peer, never 0. */
  readonly identity: number;
  /** IANA number. */
  readonly protocol: number;
  /** Destination port, host order; for ICMP the type. */
  readonly dport: number;
}

/**
 * The entry that decides a packet, by the policy engine's own rule; undefined: no entry matches, default deny.
 * Of the entries for the peer's identity and of those for any identity the most specific one each is taken, then:
 * 1. a deny wins, the identity's first; 2. the higher proxy priority; 3. the more specific ports; 4. the identity's.
 * A winner by 3 or 4 that was not itself asked for authentication takes that of the loser, if it is stronger: the entry
 * returned then differs from that of the map. Source: pkg/policy/mapstate.go, lookup.
 */
export function lookupMapState(mapState: MapStateView, flow: FlowKey): MapStateEntry | undefined {
  const l3 = mostSpecific(mapState, flow, flow.identity);
  const l4 = mostSpecific(mapState, flow, 0);
  if (l3 === undefined || l4 === undefined) return asEntry(l3 ?? l4);
  if (l3.value.deny) return asEntry(l3);
  if (l4.value.deny) return asEntry(l4);
  const byPriority = priorityOf(l3.value) - priorityOf(l4.value);
  if (byPriority !== 0) return asEntry(byPriority > 0 ? l3 : l4);
  return prefixLength(l4.key) > prefixLength(l3.key) ? withAuthOf(l4, l3.value) : withAuthOf(l3, l4.value);
}

interface Match {
  readonly key: MapStateEntry['key'];
  readonly value: MapStateValue;
}

const asEntry = (match: Match | undefined): MapStateEntry | undefined => match && entryOf(match.key, match.value);

function withAuthOf({ key, value }: Match, loser: MapStateValue): MapStateEntry {
  const inherits = !value.authExplicit && loser.authType > value.authType;
  return entryOf(key, inherits ? { ...value, authType: loser.authType } : value);
}

function mostSpecific(mapState: MapStateView, flow: FlowKey, identity: number): Match | undefined {
  const { egress, protocol, dport } = flow;
  for (let portPrefixLen = 16; portPrefixLen >= 0; portPrefixLen--) {
    const port = maskPort(dport, portPrefixLen);
    const value = mapState.valueAt(egress, identity, protocol, port, portPrefixLen);
    if (value !== undefined) return { key: { egress, identity, protocol, dport: port, portPrefixLen }, value };
  }
  const value = mapState.valueAt(egress, identity, 0, 0, 0);
  return value && { key: { egress, identity, protocol: 0, dport: 0, portPrefixLen: 0 }, value };
}
