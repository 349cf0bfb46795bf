import { type Agent, podName } from '@ciliate/agent';
import { DEFAULT_NODE } from '@ciliate/bpf';
import { parseIpv4 } from '@ciliate/packet';
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

/** A place that can be spoken to; host order. */
export interface Target {
  address: number;
  port: number;
}

/** The node's device, as its first one is named. */
export const NETWORK = 'eth0';
/** For hosts of the outside world: the block for benchmarks, RFC 2544. */
const WORLD = parseIpv4('198.18.0.0')!;
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
  /** Which port a pod serves, by its address and a protocol. */
  readonly #ports = new Map<string, number>();

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
    for (const service of this.#services)
      for (const { address, port, protocol } of service.backends)
        this.#ports.set(`${address[0]! >>> 0} ${protocol || service.protocol}`, port);
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

  /** A pod and the port that it serves; another pod than `but`. undefined: there is none */
  anyServer(protocol: number, but?: Station): Target | undefined {
    let pod = this.anyPod();
    if (pod === but) pod = this.pods[(this.pods.indexOf(pod) + 1) % this.pods.length]!;
    if (pod === but) return undefined;
    return { address: pod.address, port: this.#ports.get(`${pod.address} ${protocol}`) ?? DEFAULT_PORT };
  }

  /** A frontend for this protocol; undefined: there is none. @param external reached from outside the cluster */
  anyService(protocol: number, external: boolean): Target | undefined {
    const suitable = this.#services.filter(
      (service) => (service.protocol === protocol || service.protocol === 0) && (!external || isExternal(service)),
    );
    if (suitable.length === 0) return undefined;
    const { address, port } = suitable[this.#random.below(suitable.length)]!;
    return { address: address[0]! >>> 0, port };
  }

  worldServer(): Target {
    return { address: this.worldHost(), port: WORLD_PORT };
  }

  worldHost(): number {
    return (WORLD + this.#random.below(WORLD_HOSTS)) >>> 0;
  }
}

const isExternal = ({ flags }: ServicePlace): boolean =>
  (flags & SVC_FLAG_ROUTABLE) !== 0 && (flags & SVC_FLAG_EXTERNAL) !== 0;
