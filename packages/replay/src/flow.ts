import type { ServiceEntry } from '@ciliate/loadbalancer';
import { ICMP_ECHO, ICMP_ECHOREPLY, type ParsedFrame } from '@ciliate/packet';

export type Transport = 'TCP' | 'UDP' | 'ICMP';

export interface PeerAddress {
  address: number;
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

/** undefined if the frame is not TCP, UDP or ICMP over IPv4. */
export function flowOf({ ipv4, tcp, udp, icmp }: ParsedFrame): Flow | undefined {
  if (ipv4 === undefined) return undefined;
  if (icmp !== undefined) {
    const port = icmp.type === ICMP_ECHO || icmp.type === ICMP_ECHOREPLY ? icmp.id : 0;
    return { transport: 'ICMP', src: { address: ipv4.src, port }, dst: { address: ipv4.dst, port } };
  }
  const l4 = tcp ?? udp;
  if (l4 === undefined) return undefined;
  return {
    transport: tcp !== undefined ? 'TCP' : 'UDP',
    src: { address: ipv4.src, port: l4.srcPort },
    dst: { address: ipv4.dst, port: l4.dstPort },
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
  const text = (protocol: string, { address, port }: PeerAddress): string => `${protocol} ${address}:${port}`;
  for (const { frontend, backends } of services)
    for (const backend of backends) {
      const [root, own] = [rootOf(text(frontend.protocol, frontend)), rootOf(text(backend.protocol, backend))];
      if (root !== own) parents.set(own, root);
    }
  const canonical = (transport: Transport, place: PeerAddress): string => rootOf(text(transport, place));
  return ({ transport, src, dst }) => [canonical(transport, src), canonical(transport, dst)].sort().join(' ');
}
