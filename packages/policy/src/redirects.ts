import { compareBytes } from '@ciliate/labels';
import type { AuthenticationMode, L7Rules, RuleOrigin, TLSContext } from './api/rule.ts';
import type { FilterPeer, L4Filter } from './l4.ts';
import { type L7Parser, NO_L7 } from './l7.ts';
import type { FilterProtocol } from './protocols.ts';

/** A filter whose traffic, or some of it, goes to the proxy: what the proxy must know. */
export interface RedirectFilter {
  readonly direction: 'ingress' | 'egress';
  readonly protocol: FilterProtocol;
  /** 0: every port, or a named one. */
  readonly port: number;
  /** As the rule wrote it; not above `port`: one port. */
  readonly endPort: number;
  /** '' for a number. */
  readonly portName: string;
  /** All selectors of the filter that select something now, also those whose peers the proxy lets do everything. */
  readonly selectors: readonly RedirectSelector[];
}

export interface RedirectSelector {
  /** Canonical text. */
  readonly selector: string;
  /** Selects everybody; `identities` is then empty. */
  readonly wildcard: boolean;
  /** Numeric, ascending. */
  readonly identities: readonly number[];
  readonly deny: boolean;
  /** '': nothing is inspected. */
  readonly parser: L7Parser;
  readonly listener: string;
  /** Of the listener: the smaller number wins. 0 without parser. */
  readonly priority: number;
  readonly serverNames: readonly string[];
  readonly terminatingTLS: TLSContext | undefined;
  readonly originatingTLS: TLSContext | undefined;
  /** A request passes if any of them matches; without any, everything passes. */
  readonly l7: L7Rules;
  readonly authentication: AuthenticationMode | undefined;
  readonly origins: readonly RuleOrigin[];
}

/** The filters that redirect somebody now, ordered by direction (as text), protocol, port name and port. */
export function redirectsOf(filters: readonly L4Filter[]): RedirectFilter[] {
  return filters
    .map(redirectOf)
    .filter(({ selectors }) => selectors.some(({ parser }) => parser !== ''))
    .sort(byPlace);
}

/** What the proxy would have to know of a filter, whether it redirects or not. */
export function redirectOf({ egress, protocol, port, endPort, portName, peers }: L4Filter): RedirectFilter {
  const selecting = [...peers.values()].filter(
    ({ selector }) => selector.isWildcard || selector.selections().length > 0,
  );
  const direction = egress ? 'egress' : 'ingress';
  return { direction, protocol, port, endPort, portName, selectors: selecting.map(redirectSelectorOf) };
}

function redirectSelectorOf({ selector, policy, origins }: FilterPeer): RedirectSelector {
  return {
    selector: selector.key,
    wildcard: selector.isWildcard,
    identities: selector.selections(),
    deny: policy?.deny ?? false,
    parser: policy?.parser ?? '',
    listener: policy?.listener ?? '',
    priority: policy?.priority ?? 0,
    serverNames: policy?.serverNames ?? [],
    terminatingTLS: policy?.terminatingTLS,
    originatingTLS: policy?.originatingTLS,
    l7: policy?.l7 ?? NO_L7,
    authentication: policy?.authentication,
    origins: origins.list(),
  };
}

const byPlace = (a: RedirectFilter, b: RedirectFilter): number =>
  compareBytes(a.direction, b.direction) ||
  compareBytes(a.protocol, b.protocol) ||
  compareBytes(a.portName, b.portName) ||
  a.port - b.port ||
  a.endPort - b.endPort;
