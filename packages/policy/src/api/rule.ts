import type {
  FQDNSelector,
  HeaderMatch,
  Listener,
  PortRuleHTTP,
  PortRuleKafka,
  Position,
  TLSContext,
} from '@ciliate/k8s';
import type { EndpointSelector, Labels } from '@ciliate/labels';

/**
 * The rule language that all kinds of policy objects are translated into: checked, with selectors compiled and every
 * default filled in. Nothing in it can be wrong any more. Source: pkg/policy/api/rule.go, ingress.go, egress.go, l4.go.
 */
export interface Rule {
  readonly policy: PolicyRef;
  /** Which of the policy's specs, from 0. */
  readonly specIndex: number;
  readonly position: Position;
  /** Derived from the policy object: `io.cilium.k8s.policy.{derived-from,name,namespace,uid}`, and those it gives itself. */
  readonly labels: Labels;
  /** Selects the endpoints (or, with `selectsNodes`, the nodes) that the rule is about. */
  readonly subject: EndpointSelector;
  readonly selectsNodes: boolean;
  readonly ingress: DirectionRules;
  readonly egress: DirectionRules;
  readonly description: string;
  /** `log.value`, '' if none. */
  readonly log: string;
}

/** What a rule says about one direction. */
export interface DirectionRules {
  readonly allow: readonly PeerRule[];
  readonly deny: readonly PeerRule[];
  /** Are packets of the subject that no rule allows dropped? Only counts if `allow` or `deny` is not empty. */
  readonly defaultDeny: boolean;
}

/** One entry of `ingress`, `ingressDeny`, `egress` or `egressDeny`. */
export interface PeerRule {
  readonly origin: RuleOrigin;
  /**
   * The peers. undefined: a peer list is present and empty, the entry selects nobody, whatever its ports.
   * All lists empty: no peers are named: with ports that is everybody, without ports the entry does nothing.
   */
  readonly peers:
    | {
        /** `fromEndpoints` and what stands for it; the only ones that requirements restrict. */
        readonly endpoints: readonly EndpointSelector[];
        /** Entities, CIDRs, CIDR sets, nodes, services without selector. Only for egress rules with `fqdns`: also `reserved:none`, as in Cilium. */
        readonly others: readonly EndpointSelector[];
        /** Names, learnt by the DNS proxy; each selects the label `fqdn:<matchName or matchPattern as written>`. */
        readonly fqdns: readonly FQDNSelector[];
      }
    | undefined;
  /** `fromRequires`/`toRequires`: restrict the `endpoints` of ALL entries of the same direction and verdict of all rules of the subject. */
  readonly requires: readonly EndpointSelector[];
  /** Ports, then ICMP types. Empty: all traffic. */
  readonly toPorts: readonly PortRule[];
  /** undefined: nothing said. */
  readonly authentication: AuthenticationMode | undefined;
}

export type AuthenticationMode = 'disabled' | 'required' | 'test-always-fail';

/** Protocols of a filter, with their IANA numbers. ANY in a port means TCP, UDP and SCTP; only an entry without ports means 0. */
export type Protocol = 'TCP' | 'UDP' | 'SCTP' | 'ICMP' | 'ICMPV6';

export interface PortRule {
  readonly ports: readonly PortProtocol[];
  readonly l7: L7Rules | undefined;
  readonly terminatingTLS: TLSContext | undefined;
  readonly originatingTLS: TLSContext | undefined;
  /** SNI; empty: not looked at. */
  readonly serverNames: readonly string[];
  readonly listener: Listener | undefined;
}

export interface PortProtocol {
  /** 0..65535 (0 without `endPort`: every port), or a port's name in lower case; for ICMP the type. */
  readonly port: number | string;
  /** Last port of the range; 0 or not above `port`: one port. */
  readonly endPort: number;
  readonly protocol: Protocol | 'ANY';
}

/** Rules of one parser: at most one of the lists is not empty. undefined instead of L7Rules where no rule is given (`http: []` too). */
export interface L7Rules {
  readonly http: readonly PortRuleHTTP[];
  readonly kafka: readonly PortRuleKafka[];
  readonly dns: readonly FQDNSelector[];
  readonly l7proto: string;
  readonly l7: readonly Readonly<Record<string, string>>[];
}

export type { FQDNSelector, HeaderMatch, Listener, PortRuleHTTP, PortRuleKafka, TLSContext };

export type PolicyKind = 'NetworkPolicy' | 'CiliumNetworkPolicy' | 'CiliumClusterwideNetworkPolicy';

/** A policy object. */
export interface PolicyRef {
  readonly kind: PolicyKind;
  /** '' for a clusterwide policy. */
  readonly namespace: string;
  readonly name: string;
}

/** Where a verdict comes from. */
export interface RuleOrigin {
  /** `implicit`: no policy said so, Cilium itself adds the entry; `name` then says which. */
  readonly kind: PolicyKind | 'implicit';
  readonly namespace: string;
  readonly name: string;
  readonly specIndex: number;
  /** The list that the entry stands in. */
  readonly list: 'ingress' | 'ingressDeny' | 'egress' | 'egressDeny';
  /** Which entry of that list, from 0; of a NetworkPolicy too, where one entry becomes one PeerRule per peer. */
  readonly ruleIndex: number;
  /** Of that entry. undefined only if implicit, or for an object that has no file. */
  readonly position: Position | undefined;
}

const implicit = (name: string): RuleOrigin => ({
  kind: 'implicit',
  namespace: '',
  name,
  specIndex: 0,
  list: name.endsWith('egress') ? 'egress' : 'ingress',
  ruleIndex: 0,
  position: undefined,
});
/** Origins of the entries that Cilium adds by itself. Names as in pkg/policy/mapstate.go. */
export const ALLOW_LOCALHOST_INGRESS = implicit('allow-localhost-ingress');
export const ALLOW_ANY_INGRESS = implicit('allow-any-ingress');
export const ALLOW_ANY_EGRESS = implicit('allow-any-egress');
