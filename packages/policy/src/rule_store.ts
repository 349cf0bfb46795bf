import type { Labels } from '@ciliate/labels';
import { POD_NAMESPACE_LABEL } from '@ciliate/labels';
import type { PolicyRef, Rule } from './api/rule.ts';
import { HOST_IDENTITY } from './identities.ts';

/** Whom a policy is computed for. */
export interface Subject {
  readonly identity: number;
  readonly labels: Labels;
}

/** The pod's namespace; '' if the labels name none. */
export function namespaceOf(labels: Labels): string {
  const label = labels.get(POD_NAMESPACE_LABEL);
  return label?.source === 'k8s' ? label.value : '';
}

/** Checked rules by the policy that they come from. Source: pkg/policy/repository.go. */
export class RuleStore {
  /** Namespace ('' for clusterwide policies) → text of {@link PolicyRef} → rules. */
  readonly #byNamespace = new Map<string, Map<string, readonly Rule[]>>();

  set(ref: PolicyRef, rules: readonly Rule[]): void {
    let policies = this.#byNamespace.get(ref.namespace);
    if (policies === undefined) {
      policies = new Map();
      this.#byNamespace.set(ref.namespace, policies);
    }
    policies.set(textOf(ref), rules);
  }

  has(ref: PolicyRef): boolean {
    return this.#byNamespace.get(ref.namespace)?.has(textOf(ref)) ?? false;
  }

  /** @returns whether there was such a policy */
  delete(ref: PolicyRef): boolean {
    return this.#byNamespace.get(ref.namespace)?.delete(textOf(ref)) ?? false;
  }

  *[Symbol.iterator](): Iterator<Rule> {
    for (const policies of this.#byNamespace.values()) for (const rules of policies.values()) yield* rules;
  }

  /** The rules about this subject: clusterwide ones and those of its own namespace. */
  selecting({ identity, labels }: Subject): Rule[] {
    const isNode = identity === HOST_IDENTITY;
    const namespace = namespaceOf(labels);
    const found: Rule[] = [];
    for (const one of namespace === '' ? [''] : ['', namespace]) {
      for (const rules of this.#byNamespace.get(one)?.values() ?? []) {
        for (const rule of rules) if (rule.selectsNodes === isNode && rule.subject.matches(labels)) found.push(rule);
      }
    }
    return found;
  }
}

const textOf = ({ kind, namespace, name }: PolicyRef): string => `${kind}/${namespace}/${name}`;
