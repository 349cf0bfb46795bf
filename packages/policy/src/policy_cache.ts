import type { Labels } from '@ciliate/labels';
import type { Rule } from './api/rule.ts';
import type { PolicyConfig } from './config.ts';
import type { RuleStore, Subject } from './rule_store.ts';
import { SelectorPolicy } from './selector_policy.ts';
import type { SelectorCache } from './selectorcache.ts';

interface Cached {
  readonly labels: Labels;
  readonly rules: readonly Rule[];
  readonly policy: SelectorPolicy;
}

/** The policies of all identities that somebody asked for, so that endpoints of one identity share one. Source: pkg/policy/distillery.go. */
export class PolicyCache {
  readonly #selectorCache: SelectorCache;
  readonly #config: PolicyConfig;
  readonly #store: RuleStore;
  readonly #byIdentity = new Map<number, Cached>();

  constructor(config: PolicyConfig, store: RuleStore, selectorCache: SelectorCache) {
    this.#config = config;
    this.#store = store;
    this.#selectorCache = selectorCache;
  }

  /**
   * Computed only if a rule that selects the subject changed since the last time; the old one then belongs to those who
   * hold it.
   * @param revision of the rules
   * @throws PolicyConflictError; what is cached stays
   */
  get(subject: Subject, revision: number): SelectorPolicy {
    const cached = this.#byIdentity.get(subject.identity);
    const known = cached?.labels.equals(subject.labels) ? cached : undefined;
    if (known?.policy.revision === revision) return known.policy;
    const rules = this.#store.selecting(subject);
    if (known !== undefined && sameList(known.rules, rules)) {
      known.policy.stillHolds(revision);
      return known.policy;
    }
    const policy = SelectorPolicy.resolve({ config: this.#config, revision, rules }, subject, this.#selectorCache);
    this.#byIdentity.set(subject.identity, { labels: subject.labels, rules, policy });
    cached?.policy.release();
    return policy;
  }

  /** The last endpoint of an identity is gone. */
  forget(identity: number): void {
    this.#byIdentity.get(identity)?.policy.release();
    this.#byIdentity.delete(identity);
  }
}

const sameList = (a: readonly Rule[], b: readonly Rule[]): boolean =>
  a.length === b.length && a.every((rule, index) => rule === b[index]);
