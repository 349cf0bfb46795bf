import { DEFAULT_MAGLEV_SEED, DEFAULT_MAGLEV_SIZE } from './maglev/maglev.ts';

export const ALGORITHMS = ['random', 'maglev'] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

/** What the agent's flags say about services. Source: pkg/loadbalancer, Config. */
export interface LoadBalancerConfig {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  /** A backend with another node's name is not local; undefined: every backend is. */
  readonly nodeName: string | undefined;
  /** Addresses of the node that node ports are reached at. */
  readonly nodePortAddresses: readonly string[];
  /** `bpf-lb-algorithm`. */
  readonly algorithm: Algorithm;
  /**
   * `bpf-lb-algorithm-annotation`: services choose their algorithm with `service.cilium.io/lb-algorithm`. One that does
   * not has none then, and the programs drop its packets: so it is in this release.
   */
  readonly algorithmAnnotation: boolean;
  /** `bpf-lb-external-clusterip`: cluster addresses are reached from outside too. */
  readonly externalClusterIP: boolean;
  /** Slots: one of MAGLEV_SIZES, and the size that the maps were created for. */
  readonly maglevTableSize: number;
  /** `bpf-lb-maglev-hash-seed`: 12 bytes in base64. */
  readonly maglevHashSeed: string;
}

export const DEFAULT_LOAD_BALANCER_CONFIG: LoadBalancerConfig = {
  ipv4: true,
  ipv6: false,
  nodeName: undefined,
  nodePortAddresses: [],
  algorithm: 'random',
  algorithmAnnotation: false,
  externalClusterIP: false,
  maglevTableSize: DEFAULT_MAGLEV_SIZE,
  maglevHashSeed: DEFAULT_MAGLEV_SEED,
};
