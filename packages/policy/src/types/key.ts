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
  /** Host order; the first port of the range if `portPrefixLen` < 16. */
  readonly dport: number;
  /** How many leading bits of `dport` count: 16 one port, 0 every port. */
  readonly portPrefixLen: number;
}

/** Text form, the key of {@link EndpointPolicy.mapState}: `ingress:1001:6:80/16`. */
export function formatKey(key: MapStateKey): string {
  return `${key.egress ? 'egress' : 'ingress'}:${key.identity}:${key.protocol}:${key.dport}/${key.portPrefixLen}`;
}

/** Number of bits that an entry fixes besides direction and identity, plus one; longer is more specific. */
export function prefixLength(key: MapStateKey): number {
  return key.protocol === 0 ? 1 : 9 + key.portPrefixLen;
}

/** `port` with only its first `prefixLen` bits kept. */
export function maskPort(port: number, prefixLen: number): number {
  return port & (0xffff << (16 - prefixLen)) & 0xffff;
}
