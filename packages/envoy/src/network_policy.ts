import { compileHttpRule, type HttpRule } from './http_rules.ts';
import type { KafkaNetworkPolicyRule } from './kafka/rules.ts';
import { RejectedPolicy } from './matcher.ts';
import {
  type DiscoveryRequest,
  decodeDiscoveryResponse,
  type NetworkPolicy,
  type PortNetworkPolicy,
  type PortNetworkPolicyRule,
} from './npds.ts';
import { type PortRule, PortRules } from './port_rules.ts';
import { Secrets } from './tls/secrets.ts';
import { compileServerName, type ServerNamePattern } from './tls/server_names.ts';

/** The rules for a range of TCP ports; without any, everything is allowed. */
interface CompiledPorts {
  readonly first: number;
  readonly last: number;
  readonly rules: readonly PortRule[];
}

/** All that one endpoint's policy says. */
export class CompiledPolicy {
  readonly endpointId: number;
  readonly #ingress: DirectionRules;
  readonly #egress: DirectionRules;

  /** @param secrets that its rules may name @throws RejectedPolicy */
  constructor(policy: NetworkPolicy, secrets = new Secrets()) {
    if (policy.endpointIps.length === 0) throw new RejectedPolicy('endpoint_ips: missing');
    if (policy.endpointId === 0) throw new RejectedPolicy('endpoint_id: missing');
    this.endpointId = policy.endpointId;
    const compile = (entries: readonly PortNetworkPolicy[] | undefined, field: string): DirectionRules =>
      new DirectionRules(compilePorts(entries ?? [], field, secrets));
    this.#ingress = compile(policy.ingressPerPortPolicies, 'ingress_per_port_policies');
    this.#egress = compile(policy.egressPerPortPolicies, 'egress_per_port_policies');
  }

  /** What holds for a port: all entries whose range has it, then those for every port. */
  onPort(port: number, ingress = true): PortRules {
    return (ingress ? this.#ingress : this.#egress).onPort(port);
  }
}

/** What is said about traffic to the endpoint, or about its own. */
class DirectionRules {
  readonly #ports: readonly CompiledPorts[];
  readonly #wildcards: readonly CompiledPorts[];
  readonly #byPort = new Map<number, PortRules>();

  constructor(all: readonly CompiledPorts[]) {
    this.#ports = all.filter(({ first }) => first !== 0);
    this.#wildcards = all.filter(({ first }) => first === 0);
  }

  onPort(port: number): PortRules {
    let rules = this.#byPort.get(port);
    if (rules === undefined) {
      const entries = [...this.#ports.filter(({ first, last }) => first <= port && port <= last), ...this.#wildcards];
      const open = entries.some((entry) => entry.rules.length === 0);
      rules = new PortRules(
        entries.flatMap((entry) => entry.rules),
        open,
      );
      this.#byPort.set(port, rules);
    }
    return rules;
  }
}

function compilePorts(entries: readonly PortNetworkPolicy[], field: string, secrets: Secrets): CompiledPorts[] {
  return entries.flatMap((entry, index) => {
    const at = `${field}[${index}]`;
    const first = entry.port ?? 0;
    const last = entry.endPort ?? 0;
    if (first > 65535) throw new RejectedPolicy(`${at}.port: ${first} is above 65535`);
    if (last > 65535) throw new RejectedPolicy(`${at}.end_port: ${last} is above 65535`);
    if (last !== 0 && first === 0) throw new RejectedPolicy(`${at}.end_port: a range cannot start at port 0`);
    if (last !== 0 && last < first) throw new RejectedPolicy(`${at}.end_port: ${last} is below port ${first}`);
    const rules = (entry.rules ?? []).map((rule, of) => compileNamedRule(rule, `${at}.rules[${of}]`, secrets));
    // HTTP runs over TCP alone; the proxy never sees other traffic, whatever is said about it.
    return (entry.protocol ?? 'TCP') === 'TCP' ? [{ first, last: last || first, rules }] : [];
  });
}

const UNMODELLED = {
  passPrecedence: 'pass_precedence',
  precedence: 'precedence',
  deny: 'deny',
  proxyId: 'proxy_id',
  l7Rules: 'l7_rules',
} as const satisfies Partial<Record<keyof PortNetworkPolicyRule, string>>;

/** @throws RejectedPolicy that also says which rule it is about, if the rule says so itself */
function compileNamedRule(rule: PortNetworkPolicyRule, at: string, secrets: Secrets): PortRule {
  try {
    return compileRule(rule, at, secrets);
  } catch (error) {
    if (!(error instanceof RejectedPolicy) || !rule.name) throw error;
    throw new RejectedPolicy(`${error.message}, in ${rule.name}`, { cause: error });
  }
}

function compileRule(rule: PortNetworkPolicyRule, at: string, secrets: Secrets): PortRule {
  for (const [field, name] of Object.entries(UNMODELLED))
    if (rule[field as keyof PortNetworkPolicyRule]) throw new RejectedPolicy(`${at}.${name}: not modelled yet`);
  if (rule.l7Proto && rule.l7Proto !== 'kafka')
    throw new RejectedPolicy(`${at}.l7_proto: ${rule.l7Proto} is not modelled`);
  const remotes = rule.remotePolicies?.length ? new Set(rule.remotePolicies) : undefined;
  return {
    name: rule.name ?? '',
    remotes,
    http: compileHttp(rule, `${at}.http_rules`),
    kafka: compileKafka(rule, `${at}.kafka_rules`),
    serverNames: compileServerNames(rule, `${at}.server_names`),
    downstreamTls:
      rule.downstreamTlsContext && secrets.downstream(rule.downstreamTlsContext, `${at}.downstream_tls_context`),
    upstreamTls: rule.upstreamTlsContext && secrets.upstream(rule.upstreamTlsContext, `${at}.upstream_tls_context`),
  };
}

const compileServerNames = ({ serverNames }: PortNetworkPolicyRule, at: string): ServerNamePattern[] | undefined =>
  serverNames?.length ? serverNames.map((pattern, index) => compileServerName(pattern, `${at}[${index}]`)) : undefined;

function compileHttp({ httpRules }: PortNetworkPolicyRule, at: string): HttpRule[] | undefined {
  if (httpRules === undefined) return undefined;
  const rules = httpRules.httpRules ?? [];
  if (rules.length === 0) throw new RejectedPolicy(`${at}: empty`);
  return rules.map((rule, index) => compileHttpRule(rule, `${at}[${index}]`));
}

function compileKafka({ kafkaRules }: PortNetworkPolicyRule, at: string): KafkaNetworkPolicyRule[] | undefined {
  if (kafkaRules === undefined) return undefined;
  const rules = kafkaRules.kafkaRules ?? [];
  if (rules.length === 0) throw new RejectedPolicy(`${at}: empty`);
  return rules.map(({ apiVersion = 0, apiKeys = [], clientId = '', topic = '' }) => ({
    ...{ apiVersion, apiKeys, clientId, topic },
  }));
}

const INVALID_ARGUMENT = 3; // google.rpc.Code

/** The policies in force, and the secrets that they name. A response that cannot be accepted whole changes nothing. */
export class NetworkPolicyMap {
  #byEndpoint: ReadonlyMap<number, CompiledPolicy> = new Map();
  readonly #secrets = new Secrets();
  /** In force, of policies and of secrets. */
  readonly #versions = { policies: '', secrets: '' };

  /** undefined: no policy came for this endpoint, so nothing is allowed to it. */
  get(endpointId: number): CompiledPolicy | undefined {
    return this.#byEndpoint.get(endpointId);
  }

  /** Puts the policies, or the secrets, of a discovery response into force, or none of them. @returns the ACK or NACK to send */
  apply(bytes: Uint8Array): DiscoveryRequest {
    let nonce = '';
    let about: 'policies' | 'secrets' = 'policies';
    try {
      const response = decodeDiscoveryResponse(bytes);
      nonce = response.nonce;
      if (response.policies === undefined) about = 'secrets';
      if (response.policies === undefined) this.#secrets.replace(response.secrets ?? []);
      else this.#byEndpoint = this.#compile(response.policies);
      this.#versions[about] = response.versionInfo;
      return { versionInfo: response.versionInfo, responseNonce: nonce };
    } catch (error) {
      // Whatever is wrong with the bytes (protobufjs throws plain errors), the agent gets it as a NACK.
      const { message } = error as Error;
      const errorDetail = { code: INVALID_ARGUMENT, message };
      return { versionInfo: this.#versions[about], responseNonce: nonce, errorDetail };
    }
  }

  #compile(policies: readonly NetworkPolicy[]): Map<number, CompiledPolicy> {
    const byEndpoint = new Map<number, CompiledPolicy>();
    for (const policy of policies) {
      if (byEndpoint.has(policy.endpointId)) throw new RejectedPolicy(`endpoint_id: ${policy.endpointId} comes twice`);
      byEndpoint.set(policy.endpointId, compilePolicy(policy, this.#secrets));
    }
    return byEndpoint;
  }
}

function compilePolicy(policy: NetworkPolicy, secrets: Secrets): CompiledPolicy {
  try {
    return new CompiledPolicy(policy, secrets);
  } catch (error) {
    if (!(error instanceof RejectedPolicy)) throw error;
    throw new RejectedPolicy(`NetworkPolicy of endpoint ${policy.endpointId}: ${error.message}`, { cause: error });
  }
}
