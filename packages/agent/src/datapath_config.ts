import { type DatapathConfig, DEFAULT_CONFIG, DEFAULT_NODE, type NodeConfig, type Words } from '@ciliate/bpf';
import { bytesOfIp, type IpAddress, isIpv6 } from '@ciliate/packet';
import type { Families } from './families.ts';

/** What the programs are compiled with, by the names of Cilium's flags. What is left out is as `DEFAULT_CONFIG` says. */
export interface DatapathFlags {
  /** `--enable-ipv4`, `--enable-ipv6`, also for pods that come later; by default if a pod has such an address at the start. */
  enableIpv4?: boolean | undefined;
  enableIpv6?: boolean | undefined;
  /** `--routing-mode`: how packets get to pods of other nodes. */
  routingMode?: 'native' | 'tunnel' | undefined;
  /** `--tunnel-protocol` */
  tunnelProtocol?: TunnelProtocol | undefined;
  /** `--enable-ipv4-masquerade`, `--enable-ipv6-masquerade`, by BPF: pods reach the outside world as the node. */
  enableIpv4Masquerade?: boolean | undefined;
  enableIpv6Masquerade?: boolean | undefined;
  /** `--ipv4-native-routing-cidr`, `--ipv6-native-routing-cidr`: what is reached without masquerading. */
  ipv4NativeRoutingCidr?: Cidr | undefined;
  ipv6NativeRoutingCidr?: Cidr | undefined;
  /** `--bpf-lb-algorithm`: how a service's backend is chosen for what comes from the network. */
  bpfLbAlgorithm?: 'random' | 'maglev' | undefined;
  /** `--policy-audit-mode`: what policy would drop is let through and told. The proxies deny all the same. */
  policyAuditMode?: boolean | undefined;
}

export type TunnelProtocol = 'vxlan' | 'geneve';

export interface Cidr {
  readonly address: IpAddress;
  /** Bits of the prefix. */
  readonly length: number;
}

/** UDP ports. Source: pkg/defaults. */
const TUNNEL_PORTS: Readonly<Record<TunnelProtocol, number>> = { vxlan: 8472, geneve: 6081 };
const LB_RANDOM = 1;
const LB_MAGLEV = 2;

/**
 * What the agent compiles its programs with. The node's addresses are also those of cilium_host, as which programs answer,
 * since address management is not modelled.
 */
export function datapathConfigOf(
  flags: DatapathFlags,
  { ipv4, ipv6 }: Families,
  nodeAddresses: readonly IpAddress[],
): DatapathConfig {
  const { routingMode = 'native', tunnelProtocol = 'vxlan', bpfLbAlgorithm = 'random' } = flags;
  const tunnelMode = routingMode === 'tunnel';
  return {
    ...DEFAULT_CONFIG,
    ...{ ipv4, ipv6, tunnelMode },
    encapIfindex: tunnelMode ? DEFAULT_NODE.overlay.ifindex : 0,
    masqueradeIpv4: ipv4 && (flags.enableIpv4Masquerade ?? DEFAULT_CONFIG.masqueradeIpv4),
    masqueradeIpv6: ipv6 && (flags.enableIpv6Masquerade ?? DEFAULT_CONFIG.masqueradeIpv6),
    lbSelection: bpfLbAlgorithm === 'maglev' ? LB_MAGLEV : LB_RANDOM,
    policyAuditMode: flags.policyAuditMode ?? DEFAULT_CONFIG.policyAuditMode,
    node: {
      ...DEFAULT_NODE,
      ...addressesOf(nodeAddresses),
      ...exclusionsOf(flags),
      tunnelPort: TUNNEL_PORTS[tunnelProtocol],
    },
  };
}

function addressesOf(nodeAddresses: readonly IpAddress[]): Partial<NodeConfig> {
  const own4 = nodeAddresses.find((address) => !isIpv6(address));
  const own6 = nodeAddresses.find(isIpv6);
  const [v4] = own4 === undefined ? [0] : wordsOf(own4);
  const v6 = own6 === undefined ? undefined : (wordsOf(own6) as unknown as Words);
  return {
    ...{ directRoutingIpv4: v4!, masqueradeIpv4: v4!, gatewayIpv4: v4! },
    ...(v6 && { routerIpv6: v6, directRoutingIpv6: v6, masqueradeIpv6: v6 }),
  };
}

function exclusionsOf({ ipv4NativeRoutingCidr: v4, ipv6NativeRoutingCidr: v6 }: DatapathFlags): Partial<NodeConfig> {
  const network = (cidr: Cidr): Words =>
    wordsOf(cidr.address).map((word, i) => (word & maskOf(cidr)[i]!) >>> 0) as unknown as Words;
  const maskOf = ({ address, length }: Cidr): Words => {
    const bits = isIpv6(address) ? 128 : 32;
    const ones = (1n << BigInt(bits)) - (1n << BigInt(bits - length));
    return wordsOf(isIpv6(address) ? ones : Number(ones)) as unknown as Words;
  };
  return {
    ...(v4 && { snatExclusionIpv4: { network: network(v4)[0], mask: maskOf(v4)[0] } }),
    ...(v6 && { snatExclusionIpv6: { network: network(v6), mask: maskOf(v6) } }),
  };
}

/** As a little-endian machine loads them from a packet. */
function wordsOf(address: IpAddress): number[] {
  const { buffer, byteLength } = bytesOfIp(address);
  const view = new DataView(buffer);
  return Array.from({ length: byteLength / 4 }, (_, i) => view.getUint32(4 * i, true));
}
