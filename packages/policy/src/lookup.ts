import type { MapStateEntry } from './types/entry.ts';
import { formatKey, type MapStateKey, maskPort, prefixLength } from './types/key.ts';

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
 * Not modelled: authentication. Source: pkg/policy/mapstate.go, lookup.
 */
export function lookupMapState(mapState: ReadonlyMap<string, MapStateEntry>, flow: FlowKey): MapStateEntry | undefined {
  const l3 = mostSpecific(mapState, flow, flow.identity);
  const l4 = mostSpecific(mapState, flow, 0);
  if (l3 === undefined || l4 === undefined) return l3 ?? l4;
  if (l3.deny) return l3;
  if (l4.deny) return l4;
  if (l3.proxyPortPriority !== l4.proxyPortPriority) return l3.proxyPortPriority > l4.proxyPortPriority ? l3 : l4;
  return prefixLength(l4.key) > prefixLength(l3.key) ? l4 : l3;
}

function mostSpecific(
  mapState: ReadonlyMap<string, MapStateEntry>,
  { egress, protocol, dport }: FlowKey,
  identity: number,
): MapStateEntry | undefined {
  const at = (key: Omit<MapStateKey, 'egress' | 'identity'>) => mapState.get(formatKey({ egress, identity, ...key }));
  for (let portPrefixLen = 16; portPrefixLen >= 0; portPrefixLen--) {
    const entry = at({ protocol, dport: maskPort(dport, portPrefixLen), portPrefixLen });
    if (entry !== undefined) return entry;
  }
  return at({ protocol: 0, dport: 0, portPrefixLen: 0 });
}
