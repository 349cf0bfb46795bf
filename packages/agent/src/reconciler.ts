import type { IdentityCache, IpIdentityPair, NameManager, PrefixChanges } from '@ciliate/identity';
import type { ObjectStore, Pod } from '@ciliate/k8s';
import type { Labels } from '@ciliate/labels';
import type { NamedPorts, PolicyRepository, SelectorCache } from '@ciliate/policy';
import type { Logger } from 'pino';
import type { Changes } from './changes.ts';
import { type Endpoint, namedPortsOf, podName } from './endpoint.ts';
import type { EndpointTable } from './endpoint_table.ts';
import type { Families } from './families.ts';
import type { IdentityAllocation } from './identity_allocation.ts';
import type { IdentityChanges } from './identity_changes.ts';
import type { AgentIpcache } from './ipcache.ts';
import type { Lockdown } from './lockdown.ts';
import { hostLabelsOf, nodeOf, ownAddressesOf, remoteNodePrefixes, unknownNode } from './nodes.ts';
import { checkModelled, NODES_IGNORED, nodeSpecs } from './not_modelled.ts';
import { type PodChanges, podChanges } from './pods.ts';
import { hostOfPod, PodsElsewhere } from './pods_elsewhere.ts';
import type { Problems, Regeneration } from './regeneration.ts';
import type { Registry, RemoteChanges } from './registry.ts';
import { type Services, serviceViewsOf } from './services.ts';
import { syncedSecrets } from './tls_secrets.ts';

export interface ReconcilerParts {
  readonly store: ObjectStore;
  readonly clusterName: string;
  readonly clusterId: number;
  /** Of the node itself. */
  readonly nodeName: string;
  /** Pods that say so are on other nodes; else all are on this one. */
  readonly hasOtherNodes: boolean;
  readonly families: Families;
  readonly allocation: IdentityAllocation;
  /** What other agents tell and are told; undefined: there are no others. */
  readonly registry: Registry | undefined;
  readonly identities: IdentityCache;
  readonly identityChanges: IdentityChanges;
  readonly repository: PolicyRepository;
  readonly selectors: SelectorCache;
  readonly namedPorts: NamedPorts;
  readonly endpoints: EndpointTable;
  readonly names: NameManager;
  readonly ipcache: AgentIpcache;
  readonly services: Services;
  readonly lockdown: Lockdown;
  readonly regeneration: Regeneration;
  readonly log: Logger;
}

const NOTHING_TOLD: RemoteChanges = { ips: new Map(), nodes: new Map() };

/** Labels that a pod does not have any more, and their number. */
type Left = Pick<Endpoint, 'identity' | 'labels'>;

/**
 * Brings changes of the store into force, in three steps: identities come, then rules change, then identities go. So no
 * address has an identity that some policy does not know, and no rule about prefixes is in force while their addresses
 * have other identities.
 */
export class Reconciler {
  readonly #parts: ReconcilerParts;
  /** What could not be done as things were; tried again with the next change. */
  #refusedPods: readonly string[] = [];
  #servicesRefused = false;
  #hasToldNode = false;
  readonly #elsewhere: PodsElsewhere;
  /** Revision of the rules whose prefixes the ipcache knows. */
  #revision = 0;

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
    this.#elsewhere = new PodsElsewhere(parts.families);
  }

  /** @returns what was wrong; all else is in force */
  async reconcile(changes: Changes): Promise<Problems> {
    const { endpoints, store, clusterName, nodeName, families, regeneration, ipcache, registry, hasOtherNodes } =
      this.#parts;
    const problems: Problems = [];
    for (const name of this.#refusedPods) changes.pods.add(name);
    if (changes.nodes.size > 0) for (const name of this.#elsewhere.names) changes.pods.add(name);
    const hostOf = (pod: Pod) => (hasOtherNodes ? hostOfPod(store, pod, nodeName) : undefined);
    const pods = podChanges(changes, store, endpoints, clusterName, families, hostOf, problems);
    const remote = registry?.take() ?? NOTHING_TOLD;

    if (changes.nodes.has(nodeName)) endpoints.host.labels = hostLabelsOf(store, nodeName);
    const { added, moved, left, told, refused } = await this.#takeIdentities(pods, mayChangeRules(changes), problems);
    this.#refusedPods = [...pods.refused, ...refused];
    this.#changeRules(changes, problems);
    this.#changePrefixes(changes, remote, problems);
    await this.#announce(ipcache.prefixes.apply(), moved, problems);

    this.#countPorts({ ...pods, added });
    this.#hearOfPods(remote.ips);
    this.#hearOfPods(told);
    if (changes.secrets) await this.#syncSecrets(problems);
    const isInForce = await regeneration.regenerate(problems);
    for (const endpoint of moved) endpoints.publish(endpoint);
    await this.#tellOthers(changes, [...moved, ...pods.reported.map(({ endpoint }) => endpoint)], problems);
    if (changes.nodes.has(nodeName)) endpoints.setHostAddresses(ownAddressesOf(store, nodeName, families));
    if (changes.services || changes.pods.size > 0 || this.#servicesRefused) this.#updateServices(problems);

    for (const endpoint of pods.gone) await this.#remove(endpoint, problems);
    // An endpoint that keeps an older policy needs the prefixes that it speaks of.
    if (isInForce) ipcache.prefixes.dropStale();
    await this.#announce(ipcache.prefixes.apply(), [], problems);
    await this.#releaseIdentities([...left, ...pods.gone], problems);
    return problems;
  }

  /**
   * Every pod that came or was relabelled gets its identity, if there is one to have; nothing shows it yet. The address of one
   * that goes is one outside of the cluster at once if rules stay, as they say the same of it before and after; else nobody's.
   */
  async #takeIdentities(
    { added, relabelled, gone, elsewhere }: PodChanges,
    rulesMayChange: boolean,
    problems: Problems,
  ) {
    const { endpoints, allocation, ipcache, lockdown } = this.#parts;
    const taken = { added: [] as PodChanges['added'][number][], moved: [] as Endpoint[], left: [] as Left[] };
    const refused: string[] = [];
    const identityOf = async (pod: Parameters<typeof podName>[0], labels: Labels): Promise<number | undefined> => {
      try {
        return (await allocation.allocator.allocate(labels)).identity;
      } catch (error) {
        problems.push(error);
        refused.push(podName(pod));
        return undefined;
      }
    };
    for (const endpoint of gone) {
      endpoints.withdraw(endpoint);
      for (const address of endpoint.addresses) {
        if (endpoints.ofAddress(address) !== undefined) continue;
        if (rulesMayChange) ipcache.disown(address);
        else ipcache.deletePod(address);
      }
    }
    for (const one of added) {
      const { pod, labels } = one;
      const identity = await identityOf(pod.metadata, labels);
      if (identity === undefined) continue;
      taken.moved.push(endpoints.add(pod, { identity, labels }, lockdown.policyOf(identity, labels)));
      taken.added.push(one);
    }
    for (const { endpoint, labels } of relabelled) {
      const identity = await identityOf(endpoint, labels);
      if (identity === undefined) continue;
      taken.left.push({ identity: endpoint.identity, labels: endpoint.labels });
      endpoint.identity = identity;
      endpoint.labels = labels;
      taken.moved.push(endpoint);
    }
    const told = new Map<string, IpIdentityPair | undefined>();
    for (const [name, pod] of elsewhere) {
      const before = this.#elsewhere.get(name);
      const isSame = pod !== undefined && before?.labels.equals(pod.labels) === true;
      if (before !== undefined && !isSame) taken.left.push(before);
      const identity = isSame ? before.identity : pod && (await identityOf(pod.pod.metadata, pod.labels));
      this.#elsewhere.set(name, pod && identity !== undefined ? { ...pod, identity } : undefined, told);
    }
    return { ...taken, told, refused };
  }

  /** The repository knows the new rules; endpoints keep their policies until they are regenerated. */
  #changeRules({ services, policies }: Changes, problems: Problems): void {
    const { repository, store, log } = this.#parts;
    if (services) attempt(problems, () => repository.setServices(serviceViewsOf(store)));
    for (const { ref, object } of policies.values()) {
      if (object === undefined) {
        repository.delete(ref);
        continue;
      }
      attempt(problems, () => {
        checkModelled(object, repository.config);
        repository.upsert(object);
        for (const path of repository.config.hostFirewall ? [] : nodeSpecs(object))
          log.warn({ policy: `${ref.kind} ${ref.name}`, path }, NODES_IGNORED);
      });
    }
  }

  /** What is not spoken of any more stays until the new rules are in force. */
  #changePrefixes({ cidrGroups, nodes, services }: Changes, remote: RemoteChanges, problems: Problems): void {
    const { store, nodeName, repository, ipcache, names } = this.#parts;
    const { prefixes } = ipcache;
    for (const name of nodes) prefixes.setNode(store, name, nodeName);
    for (const [key, node] of remote.nodes)
      prefixes.tell(`kvstore/node/${key}`, node === undefined ? [] : remoteNodePrefixes(node, 'kvstore'));
    if (services) prefixes.setApiServer(store);
    for (const [name, group] of cidrGroups) attempt(problems, () => prefixes.setCidrGroup(name, group));
    if (repository.revision !== this.#revision) {
      prefixes.setPolicyPrefixes(repository.prefixes());
      names.setSelectors(repository.fqdnSelectors());
      this.#revision = repository.revision;
    }
    prefixes.setNames(names.labels());
  }

  /** First the policies know the new identities, then addresses have them; and the other way round for those that go. */
  async #announce(prefixes: PrefixChanges, moved: readonly Endpoint[], problems: Problems): Promise<void> {
    const { identities, identityChanges, regeneration, ipcache } = this.#parts;
    for (const [identity, labels] of prefixes.added) identities.add(identity, labels);
    await regeneration.identitiesChanged(identityChanges.tellAdded(), problems);
    ipcache.write(prefixes);
    for (const endpoint of moved) ipcache.upsertPod(endpoint);
    for (const identity of prefixes.deleted) identities.remove(identity);
    await regeneration.identitiesChanged(identityChanges.tellRemoved(), problems);
  }

  /** What names of ports mean from now on. */
  #countPorts({ added, reported, gone }: PodChanges): void {
    const { namedPorts, regeneration } = this.#parts;
    const changed = gone.map((endpoint) => namedPorts.remove(endpoint.namedPorts));
    for (const { pod } of added) changed.push(namedPorts.add(namedPortsOf(pod)));
    for (const { endpoint, pod } of reported) {
      const ports = namedPortsOf(pod);
      changed.push(namedPorts.remove(endpoint.namedPorts), namedPorts.add(ports));
      endpoint.namedPorts = ports;
      regeneration.portsChanged(endpoint);
    }
    if (changed.some((one) => one)) regeneration.portsChanged();
  }

  async #syncSecrets(problems: Problems): Promise<void> {
    const { store, regeneration, log } = this.#parts;
    const { secrets, missing, problems: faults } = syncedSecrets(store);
    for (const what of missing) log.warn(`${what}: connections that need it fail until it comes`);
    problems.push(...faults);
    await regeneration.secretsChanged(secrets, problems);
  }

  /** Pods of other nodes: policies know their identities by now, if anybody does. */
  #hearOfPods(ips: RemoteChanges['ips']): void {
    const { namedPorts, regeneration, ipcache } = this.#parts;
    const changed: boolean[] = [];
    for (const [key, told] of ips) {
      const before = ipcache.setTold(key, told);
      if (before !== undefined) changed.push(namedPorts.remove(before.namedPorts));
      if (told !== undefined) changed.push(namedPorts.add(told.namedPorts));
    }
    if (changed.some((one) => one)) regeneration.portsChanged();
  }

  /** What could not be told is told with the next `sync`. */
  async #tellOthers({ nodes }: Changes, moved: readonly Endpoint[], problems: Problems): Promise<void> {
    const { registry, store, nodeName, clusterName, clusterId, endpoints } = this.#parts;
    if (registry === undefined) return;
    const isNew = !this.#hasToldNode;
    this.#hasToldNode = true;
    try {
      if (isNew || nodes.has(nodeName)) {
        const node = nodeOf(store, nodeName) ?? unknownNode(endpoints.host.addresses);
        await registry.announceNode({ name: nodeName, cluster: clusterName, clusterId, ...node });
      }
      for (const endpoint of new Set(moved)) await registry.announcePod(endpoint);
    } catch (error) {
      problems.push(error);
    }
  }

  #updateServices(problems: Problems): void {
    const { services, store } = this.#parts;
    this.#servicesRefused = !attempt(problems, () => services.update(store));
  }

  async #remove(endpoint: Endpoint, problems: Problems): Promise<void> {
    const { endpoints, ipcache, regeneration, names, registry } = this.#parts;
    names.removeEndpoint(endpoint.id);
    const freed = endpoint.addresses.filter((address) => endpoints.ofAddress(address) === undefined);
    for (const address of freed) ipcache.deletePod(address);
    await registry?.withdrawPod(endpoint, freed).catch((error: unknown) => problems.push(error));
    await regeneration.remove(endpoint, problems);
    endpoints.remove(endpoint);
  }

  /** The number of labels that no pod has any more is free, and policies forget it. */
  async #releaseIdentities(left: readonly Left[], problems: Problems): Promise<void> {
    const { allocation, endpoints, repository, selectors, regeneration, identityChanges } = this.#parts;
    for (const { identity, labels } of left) {
      if (!endpoints.list.some((endpoint) => endpoint.identity === identity)) repository.forget(identity, selectors);
      try {
        if (await allocation.allocator.release(labels)) await allocation.unused(labels);
      } catch (error) {
        problems.push(error);
      }
    }
    await regeneration.identitiesChanged(identityChanges.tellRemoved(), problems);
  }
}

/** Whether rules, or the addresses that they speak of, may be others afterwards. */
const mayChangeRules = ({ services, policies, cidrGroups, nodes }: Changes): boolean =>
  services || policies.size > 0 || cidrGroups.size > 0 || nodes.size > 0;

/** @returns whether it was done */
function attempt(problems: Problems, change: () => unknown): boolean {
  try {
    change();
    return true;
  } catch (error) {
    problems.push(error);
    return false;
  }
}
