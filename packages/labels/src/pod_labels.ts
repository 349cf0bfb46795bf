import {
  CILIUM_LABEL_PREFIX,
  POD_NAMESPACE_LABEL,
  POD_NAMESPACE_META_LABELS,
  POLICY_LABEL_CLUSTER,
  POLICY_LABEL_SERVICE_ACCOUNT,
} from './constants.ts';
import { filterIdentityLabels } from './filter.ts';
import { Labels } from './labels.ts';

/** What a pod's identity is made of. */
export interface PodIdentitySource {
  readonly podLabels: Readonly<Record<string, string>>;
  readonly namespaceLabels: Readonly<Record<string, string>>;
  readonly namespace: string;
  /** undefined or '': the pod gets no service account label. */
  readonly serviceAccount: string | undefined;
  /** The cluster's name, `--cluster-name`. */
  readonly cluster: string;
}

/**
 * The labels that decide a pod's security identity, all of source `k8s`: its own, those of its namespace, its
 * namespace, service account and cluster, put through the default label filter.
 * Source: pkg/k8s/utils (GetPodMetadata, SanitizePodLabels), pkg/labelsfilter.
 */
export function identityLabelsOf(pod: PodIdentitySource): Labels {
  const values = new Map<string, string>();
  for (const [key, value] of Object.entries(pod.podLabels)) {
    if (!key.startsWith(CILIUM_LABEL_PREFIX)) values.set(key, value);
  }
  for (const [key, value] of Object.entries(pod.namespaceLabels)) {
    values.set(`${POD_NAMESPACE_META_LABELS}.${key}`, value);
  }
  values.set(POD_NAMESPACE_LABEL, pod.namespace);
  if (pod.serviceAccount) values.set(POLICY_LABEL_SERVICE_ACCOUNT, pod.serviceAccount);
  values.set(POLICY_LABEL_CLUSTER, pod.cluster);
  return filterIdentityLabels(Labels.of([...values].map(([key, value]) => ({ source: 'k8s', key, value }))));
}
