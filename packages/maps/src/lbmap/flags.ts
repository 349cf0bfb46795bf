/** Bits of a service's flags (`flags` and, from bit 8, `flags2`). Source: pkg/loadbalancer, ServiceFlags. */
export const SERVICE_FLAG = {
  externalIPs: 1 << 0,
  nodePort: 1 << 1,
  extLocalScope: 1 << 2,
  hostPort: 1 << 3,
  sessionAffinity: 1 << 4,
  loadBalancer: 1 << 5,
  routable: 1 << 6,
  sourceRange: 1 << 7,
  localRedirect: 1 << 8,
  nat46x64: 1 << 9,
  l7LoadBalancer: 1 << 10,
  /** Of a host port; of a service of the L7 load balancer the same bit hands its packets to the proxy as they are. */
  loopback: 1 << 11,
  l7Delegate: 1 << 11,
  intLocalScope: 1 << 12,
  twoScopes: 1 << 13,
  /** Of a backend's slot; the same bit of slot 0 says that source ranges are those that are refused. */
  quarantined: 1 << 14,
  sourceRangeDeny: 1 << 14,
  fwdModeDSR: 1 << 15,
} as const;

/** The flags byte of a backend is its state. Source: pkg/loadbalancer, BackendState. */
export const BACKEND_STATE = { active: 0, terminating: 1, quarantined: 2, maintenance: 3 } as const;

/** Scope of a service key: reached from everywhere, or, with the flag twoScopes, from inside the cluster. */
export const LB_LOOKUP_SCOPE_EXT = 0;
export const LB_LOOKUP_SCOPE_INT = 1;
