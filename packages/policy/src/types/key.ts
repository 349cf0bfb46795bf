/**
 * Which packets a policy entry is about. Source: pkg/policy/types/types.go.
 * A key covers another if each of its parts is equal or a wildcard (for ports: a shorter prefix of the same bits).
 */
export interface MapStateKey {
  readonly egress: boolean;
  /** Numeric identity of the peer; 0 for every identity. */
  readonly identity: number;
  /** IANA number; 0 for every protocol (and then every port). */
  readonly protocol: number;
  /** Host order; the first port of the range if `portPrefixLen` < 16; the type for ICMP. */
  readonly dport: number;
  /** How many leading bits of `dport` count: 16 one port, 0 every port. */
  readonly portPrefixLen: number;
}

/** A key without its identity: what entries of one bucket of the map state share. */
export type PortKey = Omit<MapStateKey, 'identity'>;

/** Text form, for people and for comparing: `ingress:1001:6:80/16`. */
export function formatKey(key: MapStateKey): string {
  return `${key.egress ? 'egress' : 'ingress'}:${key.identity}:${key.protocol}:${key.dport}/${key.portPrefixLen}`;
}

/** Number of bits that an entry fixes besides identity: direction, protocol, port; longer is more specific. */
export function prefixLength(key: Pick<MapStateKey, 'protocol' | 'portPrefixLen'>): number {
  return key.protocol === 0 ? 1 : 9 + key.portPrefixLen;
}

/** `port` with only its first `prefixLen` bits kept. */
export function maskPort(port: number, prefixLen: number): number {
  return port & (0xffff << (16 - prefixLen)) & 0xffff;
}

/** All but the identity in 30 bits: direction, protocol, port, prefix length. */
export function packPortKey(egress: boolean, protocol: number, dport: number, portPrefixLen: number): number {
  return ((egress ? 1 : 0) << 29) | (protocol << 21) | (dport << 5) | portPrefixLen;
}

/** Does the first key cover every packet of the second, identity aside? */
export function coversPorts(broad: PortKey, narrow: PortKey): boolean {
  if (broad.egress !== narrow.egress) return false;
  if (broad.protocol === 0) return true;
  if (broad.protocol !== narrow.protocol || broad.portPrefixLen > narrow.portPrefixLen) return false;
  return maskPort(narrow.dport, broad.portPrefixLen) === broad.dport;
}

/** The key itself and every key of its identity that covers it, the most specific first. */
export function* broaderOrEqual(key: MapStateKey): Iterable<MapStateKey> {
  if (key.protocol !== 0) {
    for (let portPrefixLen = key.portPrefixLen; portPrefixLen >= 0; portPrefixLen--)
      yield { ...key, dport: maskPort(key.dport, portPrefixLen), portPrefixLen };
  }
  yield { ...key, protocol: 0, dport: 0, portPrefixLen: 0 };
}
