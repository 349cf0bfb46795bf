import type { CIDRRule, DirectionRule, L7Rules, PortRule, PortRuleHTTP, Rule } from '../src/index.ts';

// What a policy's parts are when nothing is written in them.

export const rule = (given: Partial<Rule>): Rule => ({
  endpointSelector: undefined,
  nodeSelector: undefined,
  ingress: undefined,
  ingressDeny: undefined,
  egress: undefined,
  egressDeny: undefined,
  enableDefaultDeny: { ingress: undefined, egress: undefined },
  labels: undefined,
  description: '',
  log: undefined,
  ...given,
});

export const entry = (given: Partial<DirectionRule>): DirectionRule => ({
  endpoints: undefined,
  requires: undefined,
  cidr: undefined,
  cidrSet: undefined,
  entities: undefined,
  groups: undefined,
  nodes: undefined,
  services: undefined,
  fqdns: undefined,
  toPorts: undefined,
  icmps: undefined,
  authentication: undefined,
  ...given,
});

export const portRule = (given: Partial<PortRule>): PortRule => ({
  ports: undefined,
  terminatingTLS: undefined,
  originatingTLS: undefined,
  serverNames: undefined,
  listener: undefined,
  rules: undefined,
  ...given,
});

export const l7 = (given: Partial<L7Rules>): L7Rules => ({
  http: undefined,
  kafka: undefined,
  dns: undefined,
  l7proto: '',
  l7: undefined,
  ...given,
});

export const http = (given: Partial<PortRuleHTTP>): PortRuleHTTP => ({
  path: '',
  method: '',
  host: '',
  headers: undefined,
  headerMatches: undefined,
  ...given,
});

export const cidrRule = (given: Partial<CIDRRule>): CIDRRule => ({
  cidr: '',
  cidrGroupRef: '',
  cidrGroupSelector: undefined,
  except: undefined,
  ...given,
});
