import type { L4Protocol, Position } from '@ciliate/k8s';
import type { EndpointSelector, Labels } from '@ciliate/labels';

/** The rule language that both kinds of policy are translated into. Source: pkg/policy/api/rule.go, ingress.go, l4.go. */
export interface Rule {
  readonly policy: PolicyRef;
  /** Which of the policy's specs, from 0. */
  readonly specIndex: number;
  readonly position: Position;
  /** `spec`, or `specs[1]`: prefix of every field path in messages about this rule. */
  readonly path: string;
  /** Derived from the policy object: `io.cilium.k8s.policy.{derived-from,name,namespace,uid}`. */
  readonly labels: Labels;
  /** Selects the endpoints that the rule is about. */
  readonly endpointSelector: Selector;
  /** Never empty once sanitized: the rule puts its subjects into default deny. */
  readonly ingress: readonly IngressRule[];
}

export type PolicyKind = 'NetworkPolicy' | 'CiliumNetworkPolicy';

/** A policy object. */
export interface PolicyRef {
  readonly kind: PolicyKind;
  readonly namespace: string;
  readonly name: string;
}

/** A selector with its place in the user's file. */
export interface Selector {
  readonly selector: EndpointSelector;
  readonly position: Position;
  readonly path: string;
}

/**
 * One entry of `ingress`. A peer list that is absent differs from one that is present and empty: the first restricts
 * nothing, the second selects nothing.
 */
export interface IngressRule {
  readonly origin: RuleOrigin;
  readonly path: string;
  readonly fromEndpoints: readonly Selector[] | undefined;
  readonly fromEntities: readonly string[] | undefined;
  /** Empty means the same as absent: all ports. */
  readonly toPorts: readonly PortRule[];
}

export interface PortRule {
  readonly position: Position;
  readonly path: string;
  readonly ports: readonly PortProtocol[];
  /** Empty: no inspection of HTTP, the whole port is allowed. */
  readonly http: readonly HttpRule[];
}

export interface PortProtocol {
  readonly position: Position;
  readonly path: string;
  /** As written: a number in text; 0 means every port of the protocol. */
  readonly port: string;
  readonly protocol: L4Protocol | 'ANY';
}

/** Regular expressions (RE2) that must match the whole of their part of a request; undefined matches everything. */
export interface HttpRule {
  readonly method: string | undefined;
  /** Path and query. */
  readonly path: string | undefined;
  readonly host: string | undefined;
}

/** Where a verdict comes from. */
export interface RuleOrigin {
  /** `implicit`: no policy said so, Cilium itself adds the entry; `name` then says which. */
  readonly kind: PolicyKind | 'implicit';
  readonly namespace: string;
  readonly name: string;
  /** Which of the policy's specs, from 0. A NetworkPolicy has one. */
  readonly specIndex: number;
  /** Which entry of that spec's `ingress`, from 0. */
  readonly ruleIndex: number;
  /** Of that entry. undefined only if implicit. */
  readonly position: Position | undefined;
}

const implicit = (name: string): RuleOrigin => ({
  kind: 'implicit',
  namespace: '',
  name,
  specIndex: 0,
  ruleIndex: 0,
  position: undefined,
});
/** Origins of the entries that Cilium adds by itself. Names as in pkg/policy/mapstate.go. */
export const ALLOW_LOCALHOST_INGRESS = implicit('allow-localhost-ingress');
export const ALLOW_ANY_INGRESS = implicit('allow-any-ingress');
export const ALLOW_ANY_EGRESS = implicit('allow-any-egress');
