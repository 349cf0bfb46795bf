/** Label keys that Cilium derives for pods and policies. Source: pkg/k8s/apis/cilium.io/const.go. */
export const POD_NAMESPACE_LABEL = 'io.kubernetes.pod.namespace';
/** Followed by `.` and the key of a label of the pod's namespace. */
export const POD_NAMESPACE_META_LABELS = 'io.cilium.k8s.namespace.labels';
export const POLICY_LABEL_CLUSTER = 'io.cilium.k8s.policy.cluster';
export const POLICY_LABEL_SERVICE_ACCOUNT = 'io.cilium.k8s.policy.serviceaccount';
/** Pod labels that start so are Cilium's own and are not taken from users. */
export const CILIUM_LABEL_PREFIX = 'io.cilium.k8s';
