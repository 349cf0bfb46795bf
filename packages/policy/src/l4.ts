import type { PortProtocol, RuleOrigin } from './api/rule.ts';
import { mergePolicies, type PerSelectorPolicy } from './per_selector_policy.ts';
import { type FilterProtocol, PROTOCOL_NUMBERS } from './protocols.ts';
import type { CachedSelector } from './selectorcache.ts';
import { Origins } from './types/origins.ts';

/** What a direction's rules hold: what cannot be there is not looked for. Bits of one number. */
export const DENY_RULES = 1;
export const REDIRECT_RULES = 2;
export const AUTH_RULES = 4;
export type PolicyFeatures = number;

/** What a filter knows of one selector. */
export interface FilterPeer {
  readonly selector: CachedSelector;
  /** null: a plain allow. */
  policy: PerSelectorPolicy | null;
  readonly origins: Origins;
}

/**
 * Everything that the rules say about one port (or range, or port name) and protocol of one direction, in terms of
 * selectors. Source: pkg/policy/l4.go, L4Filter.
 */
export class L4Filter {
  readonly egress: boolean;
  readonly protocol: FilterProtocol;
  /** 0: every port, or a named one. */
  readonly port: number;
  /** As the rule wrote it: not above `port` for one port. */
  readonly endPort: number;
  /** In lower case; '' for a number. */
  readonly portName: string;
  /** By {@link CachedSelector}, in the order in which they came. */
  readonly peers: ReadonlyMap<CachedSelector, FilterPeer>;
  readonly #peers = new Map<CachedSelector, FilterPeer & { sources: RuleOrigin[] }>();
  #wildcard: FilterPeer | undefined;

  constructor(egress: boolean, protocol: FilterProtocol, { port, endPort }: Pick<PortProtocol, 'port' | 'endPort'>) {
    this.egress = egress;
    this.protocol = protocol;
    this.port = typeof port === 'number' ? port : 0;
    this.portName = typeof port === 'string' ? port : '';
    this.endPort = endPort & 0xffff;
    this.peers = this.#peers;
  }

  get protocolNumber(): number {
    return PROTOCOL_NUMBERS[this.protocol];
  }

  /** The peer that is everybody, if there is one. */
  get wildcard(): FilterPeer | undefined {
    return this.#wildcard;
  }

  /**
   * Add one rule's word about a selector. Equal selectors are merged, different ones stand side by side even if they
   * select the same peers.
   * @throws PolicyConflictError
   */
  add(selector: CachedSelector, policy: PerSelectorPolicy | null, origin: RuleOrigin): void {
    const known = this.#peers.get(selector);
    if (known === undefined) {
      const sources = [origin];
      const peer = { selector, policy, origins: Origins.of(sources), sources };
      this.#peers.set(selector, peer);
      if (selector.isWildcard) this.#wildcard = peer;
      return;
    }
    if (known.sources.at(-1) !== origin) known.sources.push(origin);
    // What selects nobody cannot be in conflict: every rule with names has it, whatever else the rules say.
    if (!selector.isNone) known.policy = mergePolicies(known.policy, policy);
  }

  features(): PolicyFeatures {
    let features = 0;
    for (const { policy } of this.#peers.values()) {
      if (policy === null) continue;
      if (policy.deny) features |= DENY_RULES;
      if (policy.parser !== '') features |= REDIRECT_RULES;
      if (policy.authentication !== undefined) features |= AUTH_RULES;
    }
    return features;
  }
}

/** One direction of a policy. */
export interface L4DirectionPolicy {
  readonly filters: readonly L4Filter[];
  readonly features: PolicyFeatures;
}

/** What all rules together say about one subject, in terms of selectors: the same for all endpoints of an identity. */
export interface L4Policy {
  readonly ingress: L4DirectionPolicy;
  readonly egress: L4DirectionPolicy;
}

export const NO_RULES: L4DirectionPolicy = { filters: [], features: 0 };
