import type { Labels } from '@ciliate/labels';
import { type EndpointPolicy, PolicyRepository, resolveSelectorPolicy, type SelectorCache } from '@ciliate/policy';

/** Says that nothing is allowed, not even from the node: for endpoints whose rules are not computed yet. */
export class Lockdown {
  readonly #selectors: SelectorCache;
  readonly #repository: PolicyRepository;

  constructor({ config }: PolicyRepository, selectors: SelectorCache) {
    this.#selectors = selectors;
    this.#repository = new PolicyRepository({ ...config, enforcement: 'always', allowLocalhost: 'policy' });
  }

  /** The policy that a new endpoint has until its own is computed. */
  policyOf(identity: number, labels: Labels): EndpointPolicy {
    const policy = resolveSelectorPolicy(this.#repository, { identity, labels }, this.#selectors).distill();
    this.#repository.forget(identity, this.#selectors);
    return policy;
  }
}
