import type { NetworkPolicy, Secret } from '@ciliate/envoy';
import {
  type EndpointPolicy,
  type MapStateChanges,
  type NamedPorts,
  type PolicyRepository,
  resolveSelectorPolicy,
  type SelectorCache,
  type SelectorUpdate,
} from '@ciliate/policy';
import type { Logger } from 'pino';
import { type Endpoint, podName } from './endpoint.ts';
import type { EndpointTable } from './endpoint_table.ts';
import { networkPolicyOf } from './npds.ts';
import { syncPolicyMap, type Written, writeChanges } from './policymap_sync.ts';
import type { ProxyPolicy } from './proxy_policy.ts';

/** What is wrong, told when everything else is done. */
export type Problems = unknown[];

interface Parts {
  readonly repository: PolicyRepository;
  readonly selectors: SelectorCache;
  /** Of all pods together. */
  readonly namedPorts: NamedPorts;
  readonly endpoints: EndpointTable;
  readonly proxy: ProxyPolicy;
  readonly log: Logger;
}

/** Brings policy into force at the endpoints: first in the proxy, so that it knows what it gets, then in their maps. */
export class Regeneration {
  readonly #parts: Parts;
  /** Endpoints whose policy must be computed anew though no rule changed. */
  readonly #outOfDate = new Set<Endpoint>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** What secrets are now. Proxies have them before any policy that names them. */
  async secretsChanged(secrets: readonly Secret[], problems: Problems): Promise<void> {
    try {
      await this.#parts.proxy.applySecrets(secrets);
    } catch (error) {
      problems.push(error);
    }
  }

  /** Its names mean other ports now, or if no endpoint is given: names in egress rules do. */
  portsChanged(endpoint?: Endpoint): void {
    const named = endpoint === undefined ? this.#parts.endpoints.withHost.filter(namesPorts) : [endpoint];
    for (const one of named) this.#outOfDate.add(one);
  }

  /**
   * Identities came or went: changes the entries that follow from it, and no others. A proxy that refuses what it is
   * told knows nothing of the new ones, and so lets none of them through; the maps follow the identities all the same.
   * @param updates one answer of the selector cache
   */
  async identitiesChanged(updates: readonly SelectorUpdate[], problems: Problems): Promise<void> {
    if (updates.length === 0) return;
    const changes = new Map<Endpoint, MapStateChanges>();
    const told = new Map<Endpoint, NetworkPolicy | undefined>();
    for (const endpoint of this.#parts.endpoints.withHost) {
      const { selectorPolicy } = endpoint.policy;
      if (!updates.some(({ selector }) => selectorPolicy.filtersOf(selector).length > 0)) continue;
      changes.set(endpoint, endpoint.policy.update(updates));
      told.set(endpoint, networkPolicyOf(endpoint, endpoint.policy));
    }
    await this.#tell(told, problems);
    for (const [endpoint, one] of changes) {
      if (one.adds.length + one.deletes.length === 0) continue;
      this.#log(endpoint, writeChanges(endpoint.policyMap, endpoint.policy, one), 'policy map updated');
    }
  }

  /**
   * Computes the policy of every endpoint whose rules changed and brings it into force. If the proxy refuses, all of them
   * keep what they have; endpoints whose rules contradict each other do so in any case.
   * @returns whether every endpoint is held to the present rules
   */
  async regenerate(problems: Problems): Promise<boolean> {
    const before = problems.length;
    const next = new Map<Endpoint, EndpointPolicy>();
    for (const endpoint of this.#parts.endpoints.withHost) {
      const policy = this.#recompute(endpoint, problems);
      if (policy !== undefined) next.set(endpoint, policy);
    }
    const told = new Map([...next].map(([endpoint, policy]) => [endpoint, networkPolicyOf(endpoint, policy)]));
    if (!(await this.#tell(told, problems))) {
      for (const policy of next.values()) policy.release();
      return false;
    }
    for (const [endpoint, policy] of next) {
      endpoint.policy.release();
      endpoint.policy = policy;
      this.#outOfDate.delete(endpoint);
      this.#log(endpoint, syncPolicyMap(endpoint.policyMap, policy), 'endpoint regenerated');
    }
    return problems.length === before;
  }

  /** The endpoint is gone: the proxy forgets it. */
  async remove(endpoint: Endpoint, problems: Problems): Promise<void> {
    this.#outOfDate.delete(endpoint);
    endpoint.policy.release();
    await this.#tell(new Map([[endpoint, undefined]]), problems);
  }

  /** @returns undefined if nothing changed, or if the rules contradict each other */
  #recompute(endpoint: Endpoint, problems: Problems): EndpointPolicy | undefined {
    const { repository, selectors, namedPorts } = this.#parts;
    try {
      const policy = resolveSelectorPolicy(repository, endpoint, selectors);
      if (policy === endpoint.policy.selectorPolicy && !this.#outOfDate.has(endpoint)) return undefined;
      return policy.distill({ namedPorts: endpoint.namedPorts, allNamedPorts: namedPorts });
    } catch (error) {
      problems.push(error);
      return undefined;
    }
  }

  async #tell(told: ReadonlyMap<Endpoint, NetworkPolicy | undefined>, problems: Problems): Promise<boolean> {
    try {
      await this.#parts.proxy.apply(told);
      return true;
    } catch (error) {
      problems.push(error);
      return false;
    }
  }

  #log(endpoint: Endpoint, { written, removed }: Written, what: string): void {
    const { revision } = endpoint.policy;
    this.#parts.log.debug({ endpoint: endpoint.id, pod: podName(endpoint), revision, written, removed }, what);
  }
}

/** Does a rule for its egress traffic name a port? What such a name means depends on all pods. */
const namesPorts = ({ policy }: Endpoint): boolean => policy.l4.egress.filters.some(({ portName }) => portName !== '');
