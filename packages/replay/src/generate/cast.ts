import { type Agent, podName } from '@ciliate/agent';
import { DEFAULT_NODE } from '@ciliate/bpf';
import { IPPROTO_TCP, IPPROTO_UDP, parseIpv4 } from '@ciliate/packet';
import { Places, type ServicePlace } from '../packets/places.ts';
import type { Random } from './random.ts';

/** Where frames are captured: a pod's interface, or the node's device. */
export interface Station {
  name: string;
  /** Endpoint id; 0: the node's device. */
  endpoint: number;
  /** Host order; of the node's device 0. */
  address: number;
  /** Ethernet addresses of the sender and of its next hop, 6 bytes each. */
  mac: Uint8Array;
  hop: Uint8Array;
}

/** A place that can be spoken to; host order. `station` is where its pod sends from; undefined: a service. */
export interface Target {
  address: number;
  port: number;
  station?: Station;
}

/** The node's device, as its first one is named. */
export const NETWORK = 'eth0';
/** For hosts of the outside world: the block for benchmarks, RFC 2544. */
const WORLD = parseIpv4('198.18.0.0')!;
const WORLD_HOSTS = 1 << 17;
/** What a pod without a service listens on. */
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

  constructor(agent: Agent, random: Random) {
    this.#random = random;
    this.pods = agent.endpoints.map((endpoint) => ({
      name: podName(endpoint),
      endpoint: endpoint.id,
      address: endpoint.address,
      mac: endpoint.mac,
      hop: DEFAULT_NODE.ciliumHostMac,
    }));
    this.network = { name: NETWORK, endpoint: 0, address: 0, mac: GATEWAY_MAC, hop: DEFAULT_NODE.netdev.mac };
    this.#services = new Places(agent.memory).services.filter(({ isIpv6 }) => !isIpv6);
    this.#byEndpoint = new Map(this.pods.map((pod) => [pod.endpoint, pod]));
  }

  get stations(): Station[] {
    return [...this.pods, this.network];
  }

  stationOf(endpoint: number): Station {
    return this.#byEndpoint.get(endpoint) ?? this.network;
  }

  anyPod(): Station {
    return this.pods[this.#random.below(this.pods.length)]!;
  }

  /** A pod and the port that it serves; another one than `but`, where there is another. */
  anyServer(protocol: number, but?: Station): Target {
    let station = this.anyPod();
    if (station === but) station = this.pods[(this.pods.indexOf(station) + 1) % this.pods.length]!;
    const own = this.#services
      .flatMap(({ backends }) => backends)
      .find(({ address, protocol: p }) => address[0]! >>> 0 === station.address && (p === protocol || p === 0));
    return { address: station.address, port: own?.port ?? DEFAULT_PORT, station };
  }

  /** A frontend for this protocol; undefined: there is none. @param external reached from outside the cluster */
  anyService(protocol: number, external: boolean): Target | undefined {
    const flags = SVC_FLAG_ROUTABLE;
    const suitable = this.#services.filter(
      (service) =>
        (service.protocol === protocol || service.protocol === 0) &&
        (!external || ((service.flags & flags) !== 0 && (service.flags & SVC_FLAG_EXTERNAL) !== 0)),
    );
    if (suitable.length === 0) return undefined;
    const { address, port } = suitable[this.#random.below(suitable.length)]!;
    return { address: address[0]! >>> 0, port };
  }

  worldHost(): number {
    return (WORLD + this.#random.below(WORLD_HOSTS)) >>> 0;
  }

  worldServer(protocol: number): Target {
    const hasPorts = protocol === IPPROTO_TCP || protocol === IPPROTO_UDP;
    return { address: this.worldHost(), port: hasPorts ? WORLD_PORT : DEFAULT_PORT, station: this.network };
  }
}
