/** What the agent's configuration says about policy. */
export interface PolicyConfig {
  /** Name of the local cluster; the entity `cluster` depends on it. */
  readonly clusterName: string;
  /** `--enable-policy`. `default`: a direction is enforced as soon as a rule about it selects the endpoint. */
  readonly enforcement: 'default' | 'always' | 'never';
  /** `--enable-host-firewall`: is what rules say about nodes enforced at them? */
  readonly hostFirewall: boolean;
  /** `--allow-localhost`: may the node always reach its endpoints? Cilium's `auto` is `always` under Kubernetes. */
  readonly allowLocalhost: 'always' | 'policy';
  readonly enableIPv4: boolean;
  readonly enableIPv6: boolean;
  /** `--enable-non-default-deny-policies`; false: `enableDefaultDeny` in policies is ignored. */
  readonly enableNonDefaultDenyPolicies: boolean;
  /** `--policy-default-local-cluster`: do selectors that name no cluster mean the local one? */
  readonly policyDefaultLocalCluster: boolean;
}

export const DEFAULT_POLICY_CONFIG: PolicyConfig = {
  clusterName: 'default',
  enforcement: 'default',
  hostFirewall: false,
  allowLocalhost: 'always',
  enableIPv4: true,
  enableIPv6: false,
  enableNonDefaultDenyPolicies: true,
  policyDefaultLocalCluster: false,
};
