import type { PolicyObject, Position } from '@ciliate/k8s';
import { prefixesOf } from './api/cidr.ts';
import type { FQDNSelector, PolicyRef, Rule } from './api/rule.ts';
import { DEFAULT_POLICY_CONFIG, type PolicyConfig } from './config.ts';
import { speaks } from './enforcement.ts';
import { parsePolicy, type ServiceView } from './k8s/parse.ts';
import { PolicyCache } from './policy_cache.ts';
import { RuleStore, type Subject } from './rule_store.ts';
import type { SelectorPolicy } from './selector_policy.ts';
import type { SelectorCache } from './selectorcache.ts';

/** A policy, or one of its specs, that selects an endpoint. */
export interface SelectingPolicy extends PolicyRef {
  readonly specIndex: number;
  readonly position: Position;
}

/** All policies known to an agent, by kind, namespace and name. Source: pkg/policy/repository.go. */
export class PolicyRepository {
  readonly config: PolicyConfig;
  readonly #rules = new RuleStore();
  /** The policies that speak of services, by the text of their {@link PolicyRef}: they change when services do. */
  readonly #withServices = new Map<string, PolicyObject>();
  readonly #policies = new WeakMap<SelectorCache, PolicyCache>();
  #services: readonly ServiceView[] = [];
  #revision = 1;

  constructor(config: Partial<PolicyConfig> = {}) {
    this.config = { ...DEFAULT_POLICY_CONFIG, ...config };
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
  upsert(object: PolicyObject): number {
    const rules = this.#parse(object);
    const ref = refOf(object);
    this.#rules.set(ref, rules);
    if (namesServices(object)) this.#withServices.set(textOf(ref), object);
    else this.#withServices.delete(textOf(ref));
    return ++this.#revision;
  }

  /** @returns the new revision, or the present one if there is no such policy */
  delete(policy: PolicyRef): number {
    this.#withServices.delete(textOf(policy));
    return this.#rules.delete(policy) ? ++this.#revision : this.#revision;
  }

  /**
   * All services there are now: translates the policies that speak of services anew.
   * @returns the new revision, or the present one if no policy does
   * @throws PolicyError if a policy cannot be translated with them: it stays as it was, the others are changed
   */
  setServices(services: readonly ServiceView[]): number {
    this.#services = services;
    let problem: unknown;
    for (const object of this.#withServices.values()) {
      try {
        this.#rules.set(refOf(object), this.#parse(object));
      } catch (error) {
        problem ??= error;
      }
    }
    if (this.#withServices.size > 0) this.#revision++;
    if (problem !== undefined) throw problem;
    return this.#revision;
  }

  has(policy: PolicyRef): boolean {
    return this.#rules.has(policy);
  }

  /** Every prefix that a rule names, each once: they must have identities before policy is in force. */
  prefixes(): string[] {
    return prefixesOf([...this.#rules]);
  }

  /** Every name that a rule lets endpoints reach, each once: the DNS proxy must look out for them. */
  fqdnSelectors(): FQDNSelector[] {
    const found = new Map<string, FQDNSelector>();
    for (const { egress } of this.#rules) {
      for (const { peers } of egress.allow) {
        for (const fqdn of peers?.fqdns ?? []) found.set(`${fqdn.matchName} ${fqdn.matchPattern}`, fqdn);
      }
    }
    return [...found.values()];
  }

  /** The rules that are about this subject. */
  rulesSelecting(subject: Subject): Rule[] {
    return this.#rules.selecting(subject);
  }

  /** Why a subject is in default deny in a direction: the policies that put it there, one entry per spec. */
  policiesSelecting(subject: Subject, direction: 'ingress' | 'egress'): SelectingPolicy[] {
    return this.rulesSelecting(subject)
      .filter((rule) => speaks(rule[direction]) && rule[direction].defaultDeny)
      .map(({ policy, specIndex, position }) => ({ ...policy, specIndex, position }));
  }

  /** The last endpoint of an identity is gone: its policy is not kept any longer. */
  forget(identity: number, selectorCache: SelectorCache): void {
    this.#policies.get(selectorCache)?.forget(identity);
  }

  /** For {@link resolveSelectorPolicy}. */
  policiesIn(selectorCache: SelectorCache): PolicyCache {
    let policies = this.#policies.get(selectorCache);
    if (policies === undefined) {
      policies = new PolicyCache(this.config, this.#rules, selectorCache);
      this.#policies.set(selectorCache, policies);
    }
    return policies;
  }

  #parse(object: PolicyObject): Rule[] {
    return parsePolicy(object, { config: this.config, services: this.#services });
  }
}

/**
 * What all rules say about one identity. Kept for each selector cache, and computed only when a rule that selects the
 * identity has changed; endpoints of one identity share it.
 * @throws PolicyConflictError if rules contradict each other: the endpoints keep the policies they have
 */
export function resolveSelectorPolicy(
  repository: PolicyRepository,
  subject: Subject,
  selectorCache: SelectorCache,
): SelectorPolicy {
  return repository.policiesIn(selectorCache).get(subject, repository.revision);
}

const refOf = ({ kind, metadata: { namespace, name } }: PolicyObject): PolicyRef => ({ kind, namespace, name });
const textOf = ({ kind, namespace, name }: PolicyRef): string => `${kind}/${namespace}/${name}`;

function namesServices(object: PolicyObject): boolean {
  if (object.kind === 'NetworkPolicy') return false;
  const specs = [...(object.spec === undefined ? [] : [object.spec]), ...(object.specs ?? [])];
  return specs.some(({ egress, egressDeny }) =>
    [...(egress ?? []), ...(egressDeny ?? [])].some(({ services }) => services?.length),
  );
}
