import type { ServiceEntry } from '@ciliate/loadbalancer';
import { formatIpPort, type IpAddress, isIcmpEcho, type ParsedFrame } from '@ciliate/packet';

export type Transport = 'TCP' | 'UDP' | 'ICMP' | 'ICMPv6';

export const isIcmp = (transport: Transport): boolean => transport === 'ICMP' || transport === 'ICMPv6';

export interface PeerAddress {
  address: IpAddress;
  /** Of ICMP echoes the identifier, at both ends; of other ICMP 0. */
  port: number;
}

const DNS_PORT = 53;

/** Is this where DNS is asked? (Over TCP it is bytes.) */
export const isDns = (transport: Transport, server: PeerAddress): boolean =>
  transport === 'UDP' && server.port === DNS_PORT;

/** Who sends a packet to whom. */
export interface Flow {
  transport: Transport;
  src: PeerAddress;
  dst: PeerAddress;
}

/** undefined if the frame is not TCP, UDP or ICMP over IP. */
export function flowOf({ ip, ipv6, tcp, udp, icmp }: ParsedFrame): Flow | undefined {
  if (ip === undefined) return undefined;
  if (icmp !== undefined) {
    const isV6 = ipv6 !== undefined;
    const port = isIcmpEcho(icmp.type, isV6) ? icmp.id : 0;
    const transport = isV6 ? 'ICMPv6' : 'ICMP';
    return { transport, src: { address: ip.src, port }, dst: { address: ip.dst, port } };
  }
  const l4 = tcp ?? udp;
  if (l4 === undefined) return undefined;
  return {
    transport: tcp !== undefined ? 'TCP' : 'UDP',
    src: { address: ip.src, port: l4.srcPort },
    dst: { address: ip.dst, port: l4.dstPort },
  };
}

/**
 * A text that is the same for all packets of a connection, in both directions, before and after service translation: a
 * service's addresses and its backends count as one place, and so do services that share a backend.
 */
export function flowKeys(services: readonly ServiceEntry[]): (flow: Flow) => string {
  const parents = new Map<string, string>();
  const rootOf = (place: string): string => {
    let root = place;
    for (let parent = parents.get(root); parent !== undefined; parent = parents.get(root)) root = parent;
    return root;
  };
  const text = (protocol: string, { address, port }: PeerAddress): string =>
    `${protocol} ${formatIpPort(address, port)}`;
  for (const { frontend, backends } of services)
    for (const backend of backends) {
      const [root, own] = [rootOf(text(frontend.protocol, frontend)), rootOf(text(backend.protocol, backend))];
      if (root !== own) parents.set(own, root);
    }
  const canonical = (transport: Transport, place: PeerAddress): string => rootOf(text(transport, place));
  return ({ transport, src, dst }) => [canonical(transport, src), canonical(transport, dst)].sort().join(' ');
}
