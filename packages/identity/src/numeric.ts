/**
 * Security identities as numbers. The top 8 of 32 bits are the scope; on the wire an identity has 24 bits.
 * Source: pkg/identity/numericidentity.go.
 */
export type NumericIdentity = number;

export const IDENTITY_UNKNOWN = 0;
export const IDENTITY_HOST = 1;
export const IDENTITY_WORLD = 2;
export const IDENTITY_UNMANAGED = 3;
export const IDENTITY_HEALTH = 4;
export const IDENTITY_INIT = 5;
export const IDENTITY_REMOTE_NODE = 6;
export const IDENTITY_KUBE_APISERVER = 7;
export const IDENTITY_INGRESS = 8;
export const IDENTITY_WORLD_IPV4 = 9;
export const IDENTITY_WORLD_IPV6 = 10;

/** The first number not kept for reserved, user-reserved (128..255) and well-known identities. */
export const MINIMAL_ALLOCATED_IDENTITY = 256;

/** The largest identity that a tunnel header or a packet mark can carry. */
export const MAX_WIRE_IDENTITY = 0xffffff;

export const SCOPE_MASK = 0xff000000;
export const SCOPE_GLOBAL = 0;
/** Identities of one node alone: CIDRs, DNS names, ingress. */
export const SCOPE_LOCAL = 0x01000000;
export const SCOPE_REMOTE_NODE = 0x02000000;

/** Identities have so many bits; those that the number of clusters needs come first. */
const WIRE_BITS = 24;
/** `--max-connected-clusters` can be this or 511. */
const MAX_CONNECTED_CLUSTERS = 255;

const NAMES: ReadonlyMap<NumericIdentity, string> = new Map([
  [IDENTITY_UNKNOWN, 'unknown'],
  [IDENTITY_HOST, 'host'],
  [IDENTITY_WORLD, 'world'],
  [IDENTITY_UNMANAGED, 'unmanaged'],
  [IDENTITY_HEALTH, 'health'],
  [IDENTITY_INIT, 'init'],
  [IDENTITY_REMOTE_NODE, 'remote-node'],
  [IDENTITY_KUBE_APISERVER, 'kube-apiserver'],
  [IDENTITY_INGRESS, 'ingress'],
  [IDENTITY_WORLD_IPV4, 'world-ipv4'],
  [IDENTITY_WORLD_IPV6, 'world-ipv6'],
]);
const BY_NAME: ReadonlyMap<string, NumericIdentity> = new Map(
  [...NAMES].filter(([id]) => id !== IDENTITY_UNKNOWN).map(([id, name]) => [name, id]),
);

/** `world` for a reserved identity, else the number in decimal. Well-known identities have no name. */
export const identityName = (identity: NumericIdentity): string => NAMES.get(identity) ?? `${identity}`;

/** True for the identities that have a name, `unknown` included. */
export const isReservedIdentity = (identity: NumericIdentity): boolean => NAMES.has(identity);

export const reservedIdentityByName = (name: string): NumericIdentity | undefined => BY_NAME.get(name);

export const identityScope = (identity: NumericIdentity): number => (identity & SCOPE_MASK) >>> 0;

export interface IdentityRange {
  /** The first and the last number that may be handed out. */
  min: NumericIdentity;
  max: NumericIdentity;
}

/**
 * The global identities of a cluster; cluster 0 leaves the first 256 to reserved ones.
 * @param clusterId 0..maxConnectedClusters
 * @param maxConnectedClusters 255 or 511: leaves 16 or 15 bits to identities in a cluster. Source: pkg/clustermesh/types.
 */
export function identityRange(clusterId = 0, maxConnectedClusters = MAX_CONNECTED_CLUSTERS): IdentityRange {
  const shift = WIRE_BITS - Math.log2(maxConnectedClusters + 1);
  const min = clusterId === 0 ? MINIMAL_ALLOCATED_IDENTITY : clusterId << shift;
  return { min, max: ((clusterId + 1) << shift) - 1 };
}
