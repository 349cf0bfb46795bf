import type { CiliumNetworkPolicy, NetworkPolicy, Position } from '@ciliate/k8s';
import { type Labels, POD_NAMESPACE_LABEL } from '@ciliate/labels';
import type { PolicyRef, Rule } from './api/rule.ts';
import { sanitizeRule } from './api/sanitize.ts';
import { parseCiliumNetworkPolicy } from './k8s/cilium_network_policy.ts';
import { parseNetworkPolicy } from './k8s/network_policy.ts';

/** A policy, or one of its specs, that selects an endpoint. */
export interface SelectingPolicy extends PolicyRef {
  readonly specIndex: number;
  readonly position: Position;
}

/** All policies known to an agent, by kind, namespace and name. Source: pkg/policy/repository.go. */
export class PolicyRepository {
  /** Name of the local cluster; the entity `cluster` depends on it. */
  readonly clusterName: string;
  /** Namespace → text of {@link PolicyRef} → rules. Only rules of an endpoint's own namespace can select it. */
  readonly #byNamespace = new Map<string, Map<string, readonly Rule[]>>();
  #revision = 1;

  constructor(options: { clusterName: string }) {
    this.clusterName = options.clusterName;
  }

  /** Raised by every change; never 0. */
  get revision(): number {
    return this.#revision;
  }

  /**
   * Add a policy, or replace the one of the same kind, namespace and name.
   * @returns the new revision
   * @throws PolicyError and changes nothing
   */
  upsert(object: NetworkPolicy | CiliumNetworkPolicy): number {
    const rules = object.kind === 'NetworkPolicy' ? parseNetworkPolicy(object) : parseCiliumNetworkPolicy(object);
    for (const rule of rules) sanitizeRule(rule);
    const { namespace, name } = object.metadata;
    let policies = this.#byNamespace.get(namespace);
    if (policies === undefined) {
      policies = new Map();
      this.#byNamespace.set(namespace, policies);
    }
    policies.set(nameOf({ kind: object.kind, namespace, name }), rules);
    return ++this.#revision;
  }

  /** @returns the new revision, or the present one if there is no such policy */
  delete(policy: PolicyRef): number {
    const removed = this.#byNamespace.get(policy.namespace)?.delete(nameOf(policy)) ?? false;
    return removed ? ++this.#revision : this.#revision;
  }

  /** The rules that are about an endpoint with these labels. */
  rulesSelecting(subject: Labels): Rule[] {
    const namespace = subject.get(POD_NAMESPACE_LABEL);
    if (namespace === undefined || namespace.source !== 'k8s') return [];
    const policies = [...(this.#byNamespace.get(namespace.value)?.values() ?? [])];
    return policies.flat().filter((rule) => rule.endpointSelector.selector.matches(subject));
  }

  /** Why an endpoint is in default deny in a direction: the policies that select it there, one entry per spec. */
  policiesSelecting(subject: Labels, direction: 'ingress'): SelectingPolicy[] {
    return this.rulesSelecting(subject)
      .filter((rule) => rule[direction].length > 0)
      .map(({ policy, specIndex, position }) => ({ ...policy, specIndex, position }));
  }
}

const nameOf = ({ kind, namespace, name }: PolicyRef): string => `${kind}/${namespace}/${name}`;
