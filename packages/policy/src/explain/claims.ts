import { ALLOW_ANY_EGRESS, ALLOW_ANY_INGRESS, ALLOW_LOCALHOST_INGRESS, type RuleOrigin } from '../api/rule.ts';
import { portOf, valueFor } from '../distill.ts';
import type { EndpointPolicy } from '../endpoint_policy.ts';
import { ANY_IDENTITY, HOST_IDENTITY } from '../identities.ts';
import type { FilterPeer, L4Filter } from '../l4.ts';
import type { FlowKey } from '../lookup.ts';
import { portRangeToPrefixes } from '../portrange.ts';
import type { AuthType, EntryParser, MapStateValue } from '../types/entry.ts';
import { coversPorts, type MapStateKey } from '../types/key.ts';
import { portsText, selectorText } from './words.ts';

/** What rules say about a flow: the entry that they ask for, before it is known which entry wins. */
export interface Claim {
  readonly key: MapStateKey;
  readonly deny: boolean;
  readonly parser: EntryParser | undefined;
  /** '' without a listener of the rule's own. */
  readonly listener: string;
  /** 0 without redirect. */
  readonly proxyPortPriority: number;
  readonly authType: AuthType;
  readonly authExplicit: boolean;
  /** Whom the rules name: the selector that selects the peer, in words; undefined for what Cilium adds itself. */
  readonly peers: string | undefined;
  /** As the rules write them: `80/TCP`, `8000-8080/TCP`, `http/TCP`, `every port`. */
  readonly ports: string;
  /** All of one mind: rules that deny and rules that allow are two claims. */
  readonly origins: readonly RuleOrigin[];
}

/** Every claim about a flow, in the order of the rules; none: nothing matches it. */
export function claimsOn(policy: EndpointPolicy, flow: FlowKey): Claim[] {
  const { filters } = flow.egress ? policy.l4.egress : policy.l4.ingress;
  return [...filters.flatMap((filter) => claimsOfFilter(filter, policy, flow)), ...impliedClaims(policy, flow)];
}

function claimsOfFilter(filter: L4Filter, { owner }: EndpointPolicy, flow: FlowKey): Claim[] {
  const port = portOf(filter, owner);
  if (port === undefined) return [];
  const { egress, protocolNumber: protocol } = filter;
  const one = { ...flow, portPrefixLen: 16 };
  const ports = portRangeToPrefixes(port, filter.endPort)
    .map((prefix) => ({ egress, protocol, dport: prefix.port, portPrefixLen: prefix.prefixLen }))
    .find((prefix) => coversPorts(prefix, one));
  if (ports === undefined) return [];
  return [...filter.peers.values()]
    .filter(({ selector }) => selector.selects(flow.identity))
    .flatMap((peer) => {
      const identity = peer.selector.isWildcard ? ANY_IDENTITY : flow.identity;
      return claimsOfPeer(filter, peer, { ...ports, identity }, valueFor(filter, peer, port));
    });
}

function claimsOfPeer(filter: L4Filter, { selector, origins }: FilterPeer, key: MapStateKey, value: MapStateValue) {
  const base = { key, peers: selectorText(selector.selector), ports: portsText(filter) };
  if (!value.deny) return [claimOf(base, value, origins.list())];
  // The rules that allow the same peers and ports were merged with those that deny, and have no word any more.
  const [denying, allowing] = [true, false].map((deny) =>
    origins.list().filter(({ list }) => list.endsWith('Deny') === deny),
  );
  return [claimOf(base, value, denying!), ...(allowing!.length === 0 ? [] : [claimOf(base, ALLOW, allowing!)])];
}

type Said = Pick<MapStateValue, 'deny' | 'redirect' | 'authType' | 'authExplicit'>;
const ALLOW: Said = { deny: false, redirect: undefined, authType: 0, authExplicit: false };

const claimOf = (
  base: Pick<Claim, 'key' | 'peers' | 'ports'>,
  { deny, redirect, authType, authExplicit }: Said,
  origins: readonly RuleOrigin[],
): Claim => ({
  ...base,
  deny,
  parser: redirect?.parser,
  listener: redirect?.listener ?? '',
  proxyPortPriority: redirect?.priority ?? 0,
  authType,
  authExplicit,
  origins,
});

/** What Cilium adds by itself: see `distillPolicy`. */
function impliedClaims({ ingressEnforced, egressEnforced, selectorPolicy }: EndpointPolicy, flow: FlowKey): Claim[] {
  const { egress, identity } = flow;
  const claim = (of: number, origin: RuleOrigin): Claim => {
    const key = { egress, identity: of, protocol: 0, dport: 0, portPrefixLen: 0 };
    return claimOf({ key, peers: undefined, ports: 'every port' }, ALLOW, [origin]);
  };
  const claims: Claim[] = [];
  if (!(egress ? egressEnforced : ingressEnforced))
    claims.push(claim(ANY_IDENTITY, egress ? ALLOW_ANY_EGRESS : ALLOW_ANY_INGRESS));
  if (!egress && identity === HOST_IDENTITY && selectorPolicy.allowLocalhost)
    claims.push(claim(HOST_IDENTITY, ALLOW_LOCALHOST_INGRESS));
  return claims;
}
