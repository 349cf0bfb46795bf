import {
  Labels,
  POD_NAMESPACE_LABEL,
  POD_NAMESPACE_META_LABELS,
  POLICY_LABEL_CLUSTER,
  POLICY_LABEL_SERVICE_ACCOUNT,
} from '@ciliate/labels';
import { IdentityError } from './errors.ts';
import {
  IDENTITY_HEALTH,
  IDENTITY_HOST,
  IDENTITY_INGRESS,
  IDENTITY_INIT,
  IDENTITY_KUBE_APISERVER,
  IDENTITY_REMOTE_NODE,
  IDENTITY_UNMANAGED,
  IDENTITY_WORLD,
  IDENTITY_WORLD_IPV4,
  IDENTITY_WORLD_IPV6,
  type NumericIdentity,
  reservedIdentityByName,
  SCOPE_GLOBAL,
  SCOPE_LOCAL,
  SCOPE_REMOTE_NODE,
} from './numeric.ts';

const FIXED_IDENTITY_LABEL = 'io.cilium.fixed-identity';
const LOCAL_SOURCES: ReadonlySet<string> = new Set(['cidr', 'fqdn', 'reserved', 'cidrgroup']);

/** Number and labels of the identities that need no allocation. */
export type IdentityEntry = readonly [identity: NumericIdentity, labels: Labels];

const RESERVED: readonly IdentityEntry[] = [
  [IDENTITY_HOST, Labels.parse(['reserved:host'])],
  [IDENTITY_WORLD, Labels.parse(['reserved:world'])],
  [IDENTITY_UNMANAGED, Labels.parse(['reserved:unmanaged'])],
  [IDENTITY_HEALTH, Labels.parse(['reserved:health'])],
  [IDENTITY_INIT, Labels.parse(['reserved:init'])],
  [IDENTITY_REMOTE_NODE, Labels.parse(['reserved:remote-node'])],
  [IDENTITY_KUBE_APISERVER, Labels.parse(['reserved:kube-apiserver', 'reserved:remote-node'])],
  [IDENTITY_INGRESS, Labels.parse(['reserved:ingress'])],
  [IDENTITY_WORLD_IPV4, Labels.parse(['reserved:world-ipv4'])],
  [IDENTITY_WORLD_IPV6, Labels.parse(['reserved:world-ipv6'])],
];

const NODE_LOCAL_DNS_APP = 'k8s:k8s-app=kube-dns';
const COMPONENTS: readonly { ids: readonly [number, number]; serviceAccount: string; labels: readonly string[] }[] = [
  { ids: [102, 110], serviceAccount: 'kube-dns', labels: [NODE_LOCAL_DNS_APP] },
  {
    ids: [103, 111],
    serviceAccount: 'kube-dns',
    labels: [NODE_LOCAL_DNS_APP, 'k8s:eks.amazonaws.com/component=kube-dns'],
  },
  { ids: [104, 112], serviceAccount: 'coredns', labels: [NODE_LOCAL_DNS_APP] },
  {
    ids: [106, 114],
    serviceAccount: 'coredns',
    labels: [NODE_LOCAL_DNS_APP, 'k8s:eks.amazonaws.com/component=coredns'],
  },
  {
    ids: [105, 113],
    serviceAccount: 'cilium-operator',
    labels: [
      'k8s:name=cilium-operator',
      'k8s:io.cilium/app=operator',
      'k8s:app.kubernetes.io/part-of=cilium',
      'k8s:app.kubernetes.io/name=cilium-operator',
    ],
  },
];

/**
 * Cluster components whose labels everyone knows have fixed numbers, so that they work before the store does: one for
 * pods without their namespace's name among the labels, one for pods with it. DNS is in kube-system, as is Cilium.
 * Source: pkg/identity/numericidentity.go, InitWellKnownIdentities (on by default).
 */
function wellKnownIdentities(clusterName: string): IdentityEntry[] {
  return COMPONENTS.flatMap(({ ids, serviceAccount, labels }) => {
    const all = [
      ...labels,
      `k8s:${POD_NAMESPACE_LABEL}=kube-system`,
      `k8s:${POLICY_LABEL_SERVICE_ACCOUNT}=${serviceAccount}`,
      `k8s:${POLICY_LABEL_CLUSTER}=${clusterName}`,
    ];
    const namespaceName = `k8s:${POD_NAMESPACE_META_LABELS}.kubernetes.io/metadata.name=kube-system`;
    return [
      [ids[0], Labels.parse(all)],
      [ids[1], Labels.parse([...all, namespaceName])],
    ] satisfies IdentityEntry[];
  });
}

/** The identities that need no allocation. The cluster's name is part of well-known labels. */
export class ReservedIdentities {
  /** In the order of the numbers. */
  readonly entries: readonly IdentityEntry[];
  readonly #wellKnown: ReadonlyMap<string, NumericIdentity>;

  constructor(clusterName = 'default') {
    const wellKnown = wellKnownIdentities(clusterName);
    this.entries = [...RESERVED, ...wellKnown].sort(([a], [b]) => a - b);
    this.#wellKnown = new Map(wellKnown.map(([identity, labels]) => [labels.sortedList(), identity]));
  }

  /**
   * The number that these labels have without allocation, or undefined.
   * @throws IdentityError UNSUPPORTED for the label that asks for a number of the user's own
   */
  lookup(labels: Labels): NumericIdentity | undefined {
    const wellKnown = this.#wellKnown.get(labels.sortedList());
    if (wellKnown !== undefined) return wellKnown;
    if (labels.get(FIXED_IDENTITY_LABEL) !== undefined) {
      const message = `label ${FIXED_IDENTITY_LABEL}: user-reserved identities are not supported yet`;
      throw new IdentityError('UNSUPPORTED', message);
    }
    if (labels.has('reserved', 'host')) return IDENTITY_HOST;
    if (labels.has('reserved', 'remote-node')) {
      return labels.has('reserved', 'kube-apiserver') ? IDENTITY_KUBE_APISERVER : IDENTITY_REMOTE_NODE;
    }
    const [only, ...others] = labels;
    if (only?.source !== 'reserved' || others.length > 0) return undefined;
    return reservedIdentityByName(only.key);
  }
}

/** The scope that an identity with these labels is allocated in. Source: pkg/identity/identity.go, ScopeForLabels. */
export function scopeForLabels(labels: Labels): number {
  if (labels.has('reserved', 'remote-node')) return SCOPE_REMOTE_NODE;
  if (labels.has('reserved', 'ingress')) return SCOPE_LOCAL;
  return [...labels].every((label) => LOCAL_SOURCES.has(label.source)) ? SCOPE_LOCAL : SCOPE_GLOBAL;
}
