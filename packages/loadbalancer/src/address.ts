import type { L4Protocol } from '@ciliate/k8s';
import { hostPort, LB_LOOKUP_SCOPE_INT } from '@ciliate/maps';
import { bytesOfIp, parseIp } from '@ciliate/packet';

/** IP protocol numbers. */
export const PROTOCOL_NUMBERS = { TCP: 6, UDP: 17, SCTP: 132 } as const satisfies Record<L4Protocol, number>;

/** Of a frontend or a backend. Source: pkg/loadbalancer, L3n4Addr. */
export interface L3n4Addr {
  /** 4 or 16 bytes, in the order of the wire. */
  readonly address: Uint8Array;
  readonly port: number;
  readonly protocol: L4Protocol;
  /** LB_LOOKUP_SCOPE_*; of a backend always external. */
  readonly scope: number;
}

/** @param text checked already when its object was decoded */
export const bytesOfAddress = (text: string): Uint8Array => bytesOfIp(parseIp(text)!);

export const isIpv6 = ({ address }: Pick<L3n4Addr, 'address'>): boolean => address.length === 16;

/** 0.0.0.0 or ::, which stands for every address of a node. */
export const isUnspecified = ({ address }: L3n4Addr): boolean => address.every((byte) => byte === 0);

/** `10.96.0.10:80/TCP`, with `/i` behind it for the internal scope: different for different addresses. */
export const addrText = ({ address, port, protocol, scope }: L3n4Addr): string =>
  `${hostPort(address, port)}/${protocol}${scope === LB_LOOKUP_SCOPE_INT ? '/i' : ''}`;

/** IPv4 before IPv6, then by number. */
export const compareAddresses = (a: Uint8Array, b: Uint8Array): number => a.length - b.length || Buffer.compare(a, b);

/** The order in which Cilium writes the frontends of a service: by the bytes of the 16-byte form, port, protocol's letter, scope. */
export function compareFrontends(a: L3n4Addr, b: L3n4Addr): number {
  const bytes = Buffer.compare(as16(a.address), as16(b.address));
  return bytes || a.port - b.port || letterOf(a) - letterOf(b) || a.scope - b.scope;
}

const letterOf = ({ protocol }: L3n4Addr): number => protocol.charCodeAt(0);

function as16(address: Uint8Array): Uint8Array {
  if (address.length === 16) return address;
  return Uint8Array.of(...new Uint8Array(10), 0xff, 0xff, ...address);
}
