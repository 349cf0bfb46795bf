/**
 * What an agent compiles into its programs: features by the names of Cilium's defines, and the node's constants.
 * Addresses are 32-bit words as loaded from a packet on a little-endian machine (be32); an IPv6 address has four.
 * Sources: pkg/datapath/linux/config, bpf/node_config.h; values: conformance set `datapath`, configs.json.
 */
export interface DatapathConfig {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  readonly ipv4Fragments: boolean;
  readonly ipv6Fragments: boolean;
  /** Pods may only send from their own address. */
  readonly sipVerification: boolean;
  /** Cilium routes between pods itself; without it each pod has a route of its own and ingress policy runs there. */
  readonly routing: boolean;
  /** Forwarding by bpf_fib_lookup and bpf_redirect_peer, past the host's stack. */
  readonly hostRouting: boolean;
  /** Ingress policy runs in `cilToContainer`, not by tail call from the sender's program. */
  readonly bpfProgForIngressPolicy: boolean;
  /** Packets to pods of other nodes are encapsulated (VXLAN or Geneve) through the device `encapIfindex`. */
  readonly tunnelMode: boolean;
  readonly encapIfindex: number;
  readonly nodePort: boolean;
  readonly srcRangeCheck: boolean;
  readonly sctp: boolean;
  /** Services are keyed by protocol too. */
  readonly serviceProtocolDifferentiation: boolean;
  /** How bpf_host chooses a backend: 1 random, 2 Maglev. Programs of pods choose at random, unless per service. */
  readonly lbSelection: number;
  readonly lbSelectionPerService: boolean;
  /** Sockets choose backends already: programs of pods translate nothing. */
  readonly socketLbFull: boolean;
  readonly l7lb: boolean;
  /** A service without backends is answered with an ICMP error, not dropped. */
  readonly serviceNoBackendResponse: boolean;
  readonly masqueradeIpv4: boolean;
  readonly masqueradeIpv6: boolean;
  readonly policyAuditMode: boolean;
  /** The node has a policy of its own: that of its host endpoint. */
  readonly hostFirewall: boolean;
  /** Packet and byte counters of conntrack entries, and of policy entries. */
  readonly ctAccounting: boolean;
  readonly policyAccounting: boolean;
  /** How much is told: 0 each packet at each point, from 1 not where it arrives, from 3 not again for a known flow. */
  readonly monitorAggregation: MonitorAggregation;
  readonly node: NodeConfig;
}

export type MonitorAggregation = 0 | 1 | 2 | 3 | 4;

export interface NodeConfig {
  readonly hostEndpointId: number;
  readonly ciliumHostIfindex: number;
  readonly ciliumNetIfindex: number;
  /** 6 bytes each. */
  readonly ciliumHostMac: Uint8Array;
  readonly ciliumNetMac: Uint8Array;
  /** Of the device that bpf_host, and of the one that bpf_overlay runs on. */
  readonly netdev: { readonly ifindex: number; readonly mac: Uint8Array };
  readonly overlay: { readonly ifindex: number; readonly mac: Uint8Array };
  readonly routerIpv6: Words;
  /** The source of a pod that reaches itself through a service. */
  readonly serviceLoopbackIpv4: number;
  /** From which NodePort traffic is forwarded and pods are masqueraded. */
  readonly directRoutingIpv4: number;
  readonly directRoutingIpv6: Words;
  readonly masqueradeIpv4: number;
  readonly masqueradeIpv6: Words;
  readonly gatewayIpv4: number;
  /** Destinations that are not masqueraded, as network and mask. */
  readonly snatExclusionIpv4: { readonly network: number; readonly mask: number };
  readonly snatExclusionIpv6: { readonly network: Words; readonly mask: Words };
  /** Smallest and largest port that NAT may take. */
  readonly natPorts: { readonly min: number; readonly max: number };
  /** UDP port of the tunnel, host order. */
  readonly tunnelPort: number;
  /** Seeds of the flow hash that Maglev is looked up by. */
  readonly hashInit4: number;
  readonly hashInit6: number;
}

/** An IPv6 address in four words as loaded. */
export type Words = readonly [number, number, number, number];

const NO_WORDS: Words = [0, 0, 0, 0];
const be32 = (a: number, b: number, c: number, d: number): number => (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;

/** An agent's node as the emulator sets one up. */
export const DEFAULT_NODE: NodeConfig = {
  hostEndpointId: 4094,
  ciliumHostIfindex: 2,
  ciliumNetIfindex: 3,
  ciliumHostMac: Uint8Array.of(2, 0, 0, 0, 0, 2),
  ciliumNetMac: Uint8Array.of(2, 0, 0, 0, 0, 3),
  netdev: { ifindex: 5, mac: Uint8Array.of(2, 0, 0, 0, 0, 5) },
  overlay: { ifindex: 6, mac: Uint8Array.of(2, 0, 0, 0, 0, 6) },
  routerIpv6: NO_WORDS,
  serviceLoopbackIpv4: be32(169, 254, 42, 1),
  directRoutingIpv4: 0,
  directRoutingIpv6: NO_WORDS,
  masqueradeIpv4: 0,
  masqueradeIpv6: NO_WORDS,
  gatewayIpv4: 0,
  snatExclusionIpv4: { network: 0, mask: 0 },
  snatExclusionIpv6: { network: NO_WORDS, mask: NO_WORDS },
  natPorts: { min: 32768, max: 65535 },
  tunnelPort: 8472,
  hashInit4: 1910299206,
  hashInit6: 2454738568,
};

/** What the agent of the emulator compiles: kube-proxy replacement, native routing, IPv4 only, medium aggregation. */
export const DEFAULT_CONFIG: DatapathConfig = {
  ipv4: true,
  ipv6: false,
  ipv4Fragments: true,
  ipv6Fragments: true,
  sipVerification: true,
  routing: true,
  hostRouting: false,
  bpfProgForIngressPolicy: false,
  tunnelMode: false,
  encapIfindex: 0,
  nodePort: true,
  srcRangeCheck: true,
  sctp: false,
  serviceProtocolDifferentiation: true,
  lbSelection: 1,
  lbSelectionPerService: false,
  socketLbFull: false,
  l7lb: false,
  serviceNoBackendResponse: false,
  masqueradeIpv4: false,
  masqueradeIpv6: false,
  policyAuditMode: false,
  hostFirewall: false,
  ctAccounting: true,
  policyAccounting: true,
  monitorAggregation: 3,
  node: DEFAULT_NODE,
};

/** The features that Cilium's defines switch on, as in `['ENABLE_IPV4', 'LB_SELECTION=1', 'NO_CT_ACCT']`. */
export function configOfDefines(defines: readonly string[], node: NodeConfig): DatapathConfig {
  const values = new Map(
    defines.map((define): [string, string | undefined] => [define.split('=')[0]!, define.split('=')[1]]),
  );
  const on = (name: string): boolean => values.has(name);
  const numberOf = (name: string, absent: number): number => Number(values.get(name) ?? absent);
  return {
    ipv4: on('ENABLE_IPV4'),
    ipv6: on('ENABLE_IPV6'),
    ipv4Fragments: on('ENABLE_IPV4_FRAGMENTS'),
    ipv6Fragments: on('ENABLE_IPV6_FRAGMENTS'),
    sipVerification: on('ENABLE_SIP_VERIFICATION'),
    routing: on('ENABLE_ROUTING'),
    hostRouting: on('ENABLE_HOST_ROUTING'),
    bpfProgForIngressPolicy: on('USE_BPF_PROG_FOR_INGRESS_POLICY'),
    tunnelMode: on('TUNNEL_MODE'),
    encapIfindex: numberOf('ENCAP_IFINDEX', 0),
    nodePort: on('ENABLE_NODEPORT'),
    srcRangeCheck: on('ENABLE_SRC_RANGE_CHECK'),
    sctp: on('ENABLE_SCTP'),
    serviceProtocolDifferentiation: on('ENABLE_SERVICE_PROTOCOL_DIFFERENTIATION'),
    lbSelection: numberOf('LB_SELECTION', 1),
    lbSelectionPerService: on('LB_SELECTION_PER_SERVICE'),
    socketLbFull: on('ENABLE_SOCKET_LB_FULL'),
    l7lb: on('ENABLE_L7_LB'),
    serviceNoBackendResponse: on('SERVICE_NO_BACKEND_RESPONSE'),
    masqueradeIpv4: on('ENABLE_MASQUERADE_IPV4'),
    masqueradeIpv6: on('ENABLE_MASQUERADE_IPV6'),
    policyAuditMode: on('POLICY_AUDIT_MODE'),
    hostFirewall: on('ENABLE_HOST_FIREWALL'),
    ctAccounting: !on('NO_CT_ACCT'),
    policyAccounting: !on('NO_POL_ACCT'),
    monitorAggregation: numberOf('MONITOR_AGGREGATION', 0) as MonitorAggregation,
    node,
  };
}

/** Programs of pods translate services themselves. Source: bpf/bpf_lxc.c, ENABLE_PER_PACKET_LB. */
export const hasPerPacketLb = ({ socketLbFull, l7lb, sctp }: DatapathConfig): boolean => !socketLbFull || l7lb || sctp;
