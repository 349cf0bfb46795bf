import { type Agent, podName } from '@ciliate/agent';
import { DEFAULT_NODE } from '@ciliate/bpf';
import { type IpAddress, isIpv6, parseIp } from '@ciliate/packet';
import { Places, type ServicePlace } from '../packets/places.ts';
import type { Random } from './random.ts';

/** Where frames are captured: a pod's interface, or the node's device. */
export interface Station {
  name: string;
  /** Endpoint id; 0: the node's device. */
  endpoint: number;
  /** None of the node's device. */
  addresses: readonly IpAddress[];
  /** Ethernet addresses of the sender and of its next hop, 6 bytes each. */
  mac: Uint8Array;
  hop: Uint8Array;
}

/** A place that can be spoken to. */
export interface Target {
  address: IpAddress;
  port: number;
}

/** The node's device, as its first one is named. */
export const NETWORK = 'eth0';
/** For hosts of the outside world: the blocks for benchmarks, RFC 2544 and RFC 5180. */
const WORLD = { ipv4: Number(parseIp('198.18.0.0')), ipv6: BigInt(parseIp('2001:2::')!) } as const;
const WORLD_HOSTS = 1 << 17;
/** What a pod without a service listens on, and hosts of the world. */
const DEFAULT_PORT = 8080;
const WORLD_PORT = 443;
const SVC_FLAG_EXTERNAL = 1 | 2 | 32; // external IP, node port, load balancer
const SVC_FLAG_ROUTABLE = 1 << 6;
const GATEWAY_MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);

/** Who can take part in a trace: the pods of the cluster, its services, and hosts of the outside world. */
export class Cast {
  readonly pods: readonly Station[];
  readonly network: Station;
  readonly #services: readonly ServicePlace[];
  readonly #random: Random;
  readonly #byEndpoint: ReadonlyMap<number, Station>;
  /** Pods with an address of a family. */
  readonly #reachable: Readonly<Record<'ipv4' | 'ipv6', readonly Station[]>>;
  /** Which port a pod serves, by its address and a protocol. */
  readonly #ports = new Map<string, number>();

  constructor(agent: Agent, random: Random) {
    this.#random = random;
    this.pods = agent.endpoints.map((endpoint) => ({
      name: podName(endpoint),
      endpoint: endpoint.id,
      addresses: endpoint.addresses,
      mac: endpoint.mac,
      hop: DEFAULT_NODE.ciliumHostMac,
    }));
    this.network = { name: NETWORK, endpoint: 0, addresses: [], mac: GATEWAY_MAC, hop: DEFAULT_NODE.netdev.mac };
    this.#services = new Places(agent.memory).services;
    this.#reachable = {
      ipv4: this.pods.filter(({ addresses }) => addresses.some((address) => !isIpv6(address))),
      ipv6: this.pods.filter(({ addresses }) => addresses.some(isIpv6)),
    };
    this.#byEndpoint = new Map(this.pods.map((pod) => [pod.endpoint, pod]));
    for (const service of this.#services)
      for (const { address, port, protocol } of service.backends)
        this.#ports.set(`${addressOf(address, service.isIpv6)} ${protocol || service.protocol}`, port);
  }

  get stations(): Station[] {
    return [...this.pods, this.network];
  }

  /** Of a pod; of anything else the node's device. */
  stationOf(endpoint: number): Station {
    return this.#byEndpoint.get(endpoint) ?? this.network;
  }

  anyPod(): Station {
    return this.pods[this.#random.below(this.pods.length)]!;
  }

  /**
   * Is the next connection one of IPv6? Where both ends can have both families, every second is.
   * @param client undefined: a host of the world
   */
  anyFamily(client?: Station): boolean {
    const { ipv4, ipv6 } = this.#reachable;
    const hasIpv4 = client === undefined ? ipv4.length > 0 : ipv4.includes(client);
    const hasIpv6 = client === undefined ? ipv6.length > 0 : ipv6.includes(client);
    return hasIpv4 && hasIpv6 ? this.#random.fraction() < 0.5 : hasIpv6;
  }

  /** A pod and the port that it serves; another pod than `but`. undefined: there is none of this family */
  anyServer(protocol: number, ofIpv6: boolean, but?: Station): Target | undefined {
    const pods = this.#reachable[ofIpv6 ? 'ipv6' : 'ipv4'];
    if (pods.length === 0) return undefined;
    let pod = pods[this.#random.below(pods.length)]!;
    if (pod === but) pod = pods[(pods.indexOf(pod) + 1) % pods.length]!;
    if (pod === but) return undefined;
    const address = pod.addresses.find((one) => isIpv6(one) === ofIpv6)!;
    return { address, port: this.#ports.get(`${address} ${protocol}`) ?? DEFAULT_PORT };
  }

  /** A frontend for this protocol; undefined: there is none. @param external reached from outside the cluster */
  anyService(protocol: number, ofIpv6: boolean, external: boolean): Target | undefined {
    const suitable = this.#services.filter(
      (service) =>
        service.isIpv6 === ofIpv6 &&
        (service.protocol === protocol || service.protocol === 0) &&
        (!external || isExternal(service)),
    );
    if (suitable.length === 0) return undefined;
    const { address, port } = suitable[this.#random.below(suitable.length)]!;
    return { address: addressOf(address, ofIpv6), port };
  }

  worldServer(ofIpv6: boolean): Target {
    return { address: this.worldHost(ofIpv6), port: WORLD_PORT };
  }

  worldHost(ofIpv6: boolean): IpAddress {
    const host = this.#random.below(WORLD_HOSTS);
    return ofIpv6 ? WORLD.ipv6 + BigInt(host) : WORLD.ipv4 + host;
  }
}

/** @param words i32, as `ServicePlace` has them */
const addressOf = (words: readonly number[], ofIpv6: boolean): IpAddress =>
  ofIpv6 ? words.reduce((sum, word) => (sum << 32n) | BigInt(word >>> 0), 0n) : words[0]! >>> 0;

const isExternal = ({ flags }: ServicePlace): boolean =>
  (flags & SVC_FLAG_ROUTABLE) !== 0 && (flags & SVC_FLAG_EXTERNAL) !== 0;
