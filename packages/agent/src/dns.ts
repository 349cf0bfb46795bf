import { type DnsAccessLog, type DnsExchange, DnsProxy, type DnsRule, type SocketAddress } from '@ciliate/envoy';
import { type FqdnConfig, IDENTITY_WORLD, NameManager } from '@ciliate/identity';
import { IpcacheMap, type Memory, readTuple } from '@ciliate/maps';
import { type IpAddress, ipOfBytes, parseIp } from '@ciliate/packet';
import { type EndpointPolicy, redirectOf } from '@ciliate/policy';
import { openConntrack } from './conntrack.ts';
import { addressBeside, type Endpoint } from './endpoint.ts';
import type { EndpointTable } from './endpoint_table.ts';

/** How often names are collected, in seconds. */
const GC_INTERVAL_S = 60;
/** Of a conntrack entry of a connection to the endpoint. */
const TUPLE_F_IN = 1;

export interface AgentDnsOptions {
  readonly memory: Memory;
  readonly endpoints: EndpointTable;
  /** How many conntrack shards there are. */
  readonly shards: number;
  /** What differs from Cilium's flags. */
  readonly fqdn?: FqdnConfig | undefined;
  readonly rejectWith?: 'refused' | 'nameError' | undefined;
}

/** The agent's side of DNS: which questions its endpoints may ask, and what follows from the answers. */
export class AgentDns {
  readonly proxy: DnsProxy;
  readonly names: NameManager;
  /** Hears what the proxy logs. */
  onAccessLog: (record: DnsAccessLog) => void = () => {};
  readonly #options: AgentDnsOptions;
  #nextGcS = 0;

  constructor(options: AgentDnsOptions) {
    this.#options = options;
    this.names = new NameManager(options.fqdn);
    const { endpoints, rejectWith = 'refused' } = options;
    this.proxy = new DnsProxy({
      rulesOf: (id, port, protocol) => {
        const endpoint = endpoints.ofId(id);
        return endpoint === undefined ? undefined : dnsRulesOf(endpoint.policy, port, protocol);
      },
      onAccessLog: (record) => this.onAccessLog(record),
      rejectWith,
    });
  }

  /** What the proxy must know of an endpoint's question. @param destination of the packets, as they come to the proxy */
  exchange(client: Endpoint, protocol: 'UDP' | 'TCP', port: number, destination: SocketAddress): DnsExchange {
    const { endpoints, memory } = this.#options;
    const server =
      endpoints.ofAddress(destination.ip)?.identity ?? IpcacheMap.open(memory).lookup(destination.ip)?.identity;
    return {
      endpointId: client.id,
      protocol,
      sourceIdentity: client.identity,
      destinationIdentity: server ?? IDENTITY_WORLD,
      source: { ip: addressBeside(client, destination.ip) ?? client.address, port },
      destination,
    };
  }

  /** An endpoint got an answer. @returns whether it told anything new */
  learn(endpointId: number, name: string, addresses: readonly string[], ttlS: number, nowS: number): boolean {
    const known = addresses.map(parseIp).filter((address) => address !== undefined);
    return this.names.learn(endpointId, name, known, ttlS, nowS);
  }

  /** Forgets names whose time is over and that no connection needs; once a minute. @returns whether it looked */
  collect(nowS: number): boolean {
    if (nowS < this.#nextGcS) return false;
    this.#nextGcS = nowS + GC_INTERVAL_S;
    const connected = this.#connected();
    this.names.gc(nowS, (id) => {
      const addresses = this.#options.endpoints.ofId(id)?.addresses ?? [];
      return new Set(addresses.flatMap((address) => [...(connected.get(address) ?? [])]));
    });
    return true;
  }

  /** Source address → where conntrack has connections from it to. */
  #connected(): Map<IpAddress, Set<IpAddress>> {
    const found = new Map<IpAddress, Set<IpAddress>>();
    const { memory } = this.#options;
    for (const map of openConntrack(memory, this.#options.shards))
      for (const { key } of map.entries()) {
        const { saddr, daddr, flags } = readTuple(memory.u8.subarray(key, key + map.spec.keySize));
        if ((flags & TUPLE_F_IN) !== 0) continue;
        // A tuple has the names of its fields the other way round.
        const [source, destination] = [ipOfBytes(daddr), ipOfBytes(saddr)];
        const peers = found.get(source) ?? new Set();
        found.set(source, peers.add(destination));
      }
    return found;
  }
}

/** What a policy says about DNS at one port. @returns undefined if its packets do not go to the DNS proxy */
function dnsRulesOf(policy: EndpointPolicy, port: number, protocol: 'UDP' | 'TCP'): DnsRule[] | undefined {
  const filter = policy.l4.egress.filters.find((one) => {
    const first = policy.portOf(one);
    return one.protocol === protocol && first !== undefined && port >= first && port <= Math.max(first, one.endPort);
  });
  if (filter === undefined) return undefined;
  return redirectOf(filter)
    .selectors.filter(({ deny }) => !deny)
    .map(({ wildcard, identities, l7 }) => ({ servers: wildcard ? undefined : identities, names: l7.dns }));
}
