import type { NamedPort, PolicyConfig, ServiceView } from '@ciliate/policy';
import { Fields } from './fields.ts';

/**
 * What a policy case asks, and nothing of what it expects: {@link readCase} names every field that gets through. Format:
 * the project's conformance set `policy`, README, *Input*.
 */
export interface PolicyCase {
  readonly name: string;
  readonly config: PolicyConfig;
  /** Labels of each namespace. */
  readonly namespaces: ReadonlyMap<string, Readonly<Record<string, string>>>;
  readonly endpoints: readonly CaseEndpoint[];
  readonly cidrGroups: readonly CidrGroup[];
  readonly services: readonly ServiceView[];
  /** What the DNS proxy has learnt: absolute name → addresses. */
  readonly dns: ReadonlyMap<string, readonly string[]>;
  /** Prefixes of an API server outside of the cluster. */
  readonly kubeApiServer: readonly string[];
  /** Kubernetes objects, not decoded. */
  readonly policies: readonly unknown[];
  readonly flows: readonly CaseFlow[];
  readonly steps: readonly CaseStep[];
}

export interface CaseEndpoint {
  readonly name: string;
  readonly namespace: string;
  readonly cluster: string;
  /** Has a policy here. */
  readonly local: boolean;
  /** undefined for a pod. */
  readonly special: 'init' | 'health' | undefined;
  readonly serviceAccount: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly namedPorts: readonly NamedPort[];
  /** Its identity is unknown until a step adds it. */
  readonly withheld: boolean;
}

export interface CidrGroup {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly externalCIDRs: readonly string[];
}

export interface CaseFlow {
  /** Name of an endpoint, `world:<address>`, or of a reserved identity. */
  readonly src: string;
  readonly dst: string;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP' | 'ICMP' | 'ICMPv6';
  /** Destination port; for ICMP the type. */
  readonly port: number;
}

/** The identity of endpoints becomes known, or is known no more. */
export interface CaseStep {
  readonly op: 'add' | 'delete';
  /** The number that those endpoints have; only says who is meant. */
  readonly identity: number;
}

/** @param where `file:line` @throws InputError that names place and field */
export function readCase(value: unknown, where: string): PolicyCase {
  const fields = new Fields(value, where);
  const namespaces = fields.object('namespaces');
  const dns = fields.object('dns');
  return {
    name: fields.text('name'),
    config: readConfig(fields.object('config')),
    namespaces: new Map(namespaces.names().map((name) => [name, namespaces.object(name).map('labels')])),
    endpoints: fields.all('endpoints').map(readEndpoint),
    cidrGroups: fields.all('cidrGroups').map((group) => ({
      name: group.text('name'),
      labels: group.map('labels'),
      externalCIDRs: group.texts('externalCIDRs'),
    })),
    services: fields.all('services').map((service) => ({
      name: service.text('name'),
      namespace: service.text('namespace'),
      labels: service.map('labels'),
      selector: service.map('selector'),
      backends: service.texts('backends'),
    })),
    dns: new Map(dns.names().map((name) => [name, dns.texts(name)])),
    kubeApiServer: fields.texts('kubeAPIServerCIDRs'),
    policies: fields.list('policies'),
    flows: fields.all('flows').map(readFlow),
    steps: fields.has('steps') ? fields.all('steps').map(readStep) : [],
  };
}

const readConfig = (config: Fields): PolicyConfig => ({
  clusterName: config.text('clusterName'),
  enforcement: config.oneOf('enforcement', 'default', 'always', 'never'),
  hostFirewall: false,
  allowLocalhost: config.oneOf('allowLocalhost', 'always', 'policy'),
  enableIPv4: config.flag('enableIPv4'),
  enableIPv6: config.flag('enableIPv6'),
  enableNonDefaultDenyPolicies: config.flag('enableNonDefaultDenyPolicies'),
  policyDefaultLocalCluster: config.flag('policyDefaultLocalCluster'),
});

const readEndpoint = (endpoint: Fields): CaseEndpoint => ({
  name: endpoint.text('name'),
  namespace: endpoint.text('namespace'),
  cluster: endpoint.text('cluster'),
  local: endpoint.flag('local'),
  special: endpoint.has('special') ? endpoint.oneOf('special', 'init', 'health') : undefined,
  serviceAccount: endpoint.has('serviceAccount') ? endpoint.text('serviceAccount') : undefined,
  labels: endpoint.map('labels'),
  namedPorts: endpoint.all('namedPorts').map((port) => ({
    name: port.text('name'),
    protocol: port.oneOf('protocol', 'TCP', 'UDP', 'SCTP'),
    port: port.whole('port'),
  })),
  withheld: endpoint.has('withheld') && endpoint.flag('withheld'),
});

function readFlow(flow: Fields): CaseFlow {
  const protocol = flow.oneOf('protocol', 'TCP', 'UDP', 'SCTP', 'ICMP', 'ICMPv6');
  const port = flow.whole(protocol.startsWith('ICMP') ? 'icmpType' : 'dport');
  return { src: flow.text('src'), dst: flow.text('dst'), protocol, port };
}

const readStep = (step: Fields): CaseStep => ({
  op: step.oneOf('op', 'add', 'delete'),
  identity: step.whole('identity'),
});
