import {
  compileSelector,
  fqdnLabel,
  type IdentityEntry,
  IdentityError,
  isReservedIdentity,
  labelsOfCidrGroup,
  labelsOfPolicyPrefix,
  type NameSelector,
  type NumericIdentity,
  type Prefix,
  type PrefixEntry,
  PrefixIdentities,
  parseAddress,
  parsePrefix,
  ReservedIdentities,
  reservedIdentityByName,
} from '@ciliate/identity';
import { InputError } from '@ciliate/k8s';
import { identityLabelsOf, Labels } from '@ciliate/labels';
import type { CaseEndpoint, PolicyCase } from './policy_case.ts';

/** As the set numbers them: one number per set of labels, in the order of the endpoints. */
const FIRST_LOCAL = 1001;
/** Other clusters have the ids 2, 3, ... in the order in which they are named; an id is worth 2^16. */
const FIRST_OTHER_CLUSTER = 2;

/** What the DNS proxy's knowledge is filed under. */
const DNS = 'fqdn-name-manager';

/** Who is who in a case. */
export class CaseIdentities {
  readonly #where: string;
  readonly #endpoints: ReadonlyMap<string, IdentityEntry>;
  readonly #reserved: ReservedIdentities;
  readonly #prefixes: PrefixIdentities;
  readonly #dualStack: boolean;

  /**
   * @param policyPrefixes that the policies name
   * @param names that the policies let endpoints reach
   */
  constructor(input: PolicyCase, policyPrefixes: readonly string[], names: readonly NameSelector[], where: string) {
    const { clusterName, enableIPv4, enableIPv6 } = input.config;
    this.#where = where;
    this.#dualStack = enableIPv4 && enableIPv6;
    this.#reserved = new ReservedIdentities(clusterName);
    this.#endpoints = this.#numberEndpoints(input);
    this.#prefixes = new PrefixIdentities({ dualStack: this.#dualStack, reserved: this.#reserved });
    this.#describePrefixes(input, policyPrefixes, names);
    this.#prefixes.apply();
  }

  /** Of an endpoint. */
  of(endpoint: string): IdentityEntry {
    return this.#endpoints.get(endpoint)!;
  }

  /** In the order of the prefixes; `onlyDns`: known because a name answered with it, and for no other reason. */
  prefixes(): { entry: PrefixEntry; onlyDns: boolean }[] {
    return this.#prefixes.entries().map((entry) => {
      const [first, ...others] = this.#prefixes.resources(entry.prefix);
      return { entry, onlyDns: first === DNS && others.length === 0 };
    });
  }

  /** What the policies can select from the start: not those endpoints whose identity is withheld. */
  known(endpoints: readonly CaseEndpoint[]): IdentityEntry[] {
    return [
      ...this.#reserved.entries.filter(([identity]) => isReservedIdentity(identity)),
      ...endpoints.filter(({ withheld }) => !withheld).map(({ name }) => this.of(name)),
      ...this.#prefixes.entries().map(({ identity, labels }): IdentityEntry => [identity, labels]),
    ];
  }

  /** @param peer name of an endpoint, `world:<address>`, or name of a reserved identity */
  ofPeer(peer: string): NumericIdentity {
    const identity = peer.startsWith('world:')
      ? this.#ofAddress(peer.slice('world:'.length))
      : (this.#endpoints.get(peer)?.[0] ?? reservedIdentityByName(peer));
    if (identity === undefined) throw this.#wrong(`flows: no endpoint ${JSON.stringify(peer)}`);
    return identity;
  }

  #ofAddress(text: string): NumericIdentity | undefined {
    const { family, address } = this.#parsed(() => parseAddress(text), 'flows');
    const world = this.#dualStack ? `world-ipv${family}` : 'world';
    return this.#prefixes.lookup(family, address)?.identity ?? reservedIdentityByName(world);
  }

  #numberEndpoints({ endpoints, namespaces, config }: PolicyCase): Map<string, IdentityEntry> {
    const clusters = [...new Set(endpoints.map(({ cluster }) => cluster))].filter(
      (name) => name !== config.clusterName,
    );
    const numbers = new Map<string, NumericIdentity>();
    const next = new Map<number, number>();
    const found = new Map<string, IdentityEntry>();
    for (const { name, namespace, cluster, special, serviceAccount, labels: podLabels } of endpoints) {
      if (special !== undefined) {
        found.set(name, [reservedIdentityByName(special)!, Labels.parse([`reserved:${special}`])]);
        continue;
      }
      const namespaceLabels = namespaces.get(namespace) ?? {};
      const labels = identityLabelsOf({ podLabels, namespaceLabels, namespace, serviceAccount, cluster });
      const key = labels.sortedList();
      if (!numbers.has(key)) {
        const clusterId = cluster === config.clusterName ? 0 : clusters.indexOf(cluster) + FIRST_OTHER_CLUSTER;
        const inCluster = next.get(clusterId) ?? FIRST_LOCAL;
        next.set(clusterId, inCluster + 1);
        numbers.set(key, clusterId * 2 ** 16 + inCluster);
      }
      found.set(name, [numbers.get(key)!, labels]);
    }
    return found;
  }

  #describePrefixes(input: PolicyCase, policyPrefixes: readonly string[], names: readonly NameSelector[]): void {
    for (const text of policyPrefixes) {
      const prefix = this.#prefixOf(text, 'policies');
      this.#prefixes.upsert(prefix, 'policies', { source: 'custom-resource', labels: labelsOfPolicyPrefix(prefix) });
    }
    for (const { name, labels, externalCIDRs } of input.cidrGroups) {
      const info = { source: 'generated', labels: labelsOfCidrGroup(name, labels) } as const;
      for (const cidr of externalCIDRs)
        this.#prefixes.upsert(this.#prefixOf(cidr, 'cidrGroups'), `cidrgroup/${name}`, info);
    }
    const apiServer = { source: 'kube-apiserver', labels: Labels.parse(['reserved:kube-apiserver']) } as const;
    for (const cidr of input.kubeApiServer)
      this.#prefixes.upsert(this.#prefixOf(cidr, 'kubeAPIServerCIDRs'), 'endpoints/kubernetes', apiServer);
    for (const [address, selectors] of selectedAddresses(input.dns, names)) {
      const info = { source: 'generated', labels: Labels.of(selectors.map(fqdnLabel)) } as const;
      this.#prefixes.upsert(this.#prefixOf(address, 'dns'), DNS, info);
    }
  }

  #prefixOf(text: string, field: string): Prefix {
    return this.#parsed(() => parsePrefix(text), field);
  }

  #parsed<T>(parse: () => T, field: string): T {
    try {
      return parse();
    } catch (error) {
      throw error instanceof IdentityError ? this.#wrong(`${field}: ${error.message}`) : error;
    }
  }

  #wrong(problem: string): InputError {
    return new InputError(`${this.#where}: ${problem}`, { where: this.#where });
  }
}

/** Each address that a selected name answered with, with all selectors of all its names. */
function selectedAddresses(
  dns: PolicyCase['dns'],
  selectors: readonly NameSelector[],
): Map<string, readonly NameSelector[]> {
  const compiled = selectors.map((selector) => ({ selector, selects: compileSelector(selector) }));
  const found = new Map<string, readonly NameSelector[]>();
  for (const [name, addresses] of dns) {
    const selecting = compiled.filter(({ selects }) => selects(name)).map(({ selector }) => selector);
    if (selecting.length === 0) continue;
    for (const address of addresses) found.set(address, [...(found.get(address) ?? []), ...selecting]);
  }
  return found;
}
