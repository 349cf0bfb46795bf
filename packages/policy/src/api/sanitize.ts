import { RE2JS } from 're2js';
import { PolicyError } from '../errors.ts';
import { ENTITY_NAMES } from './entity.ts';
import { MAX_PORTS, parsePort } from './port.ts';
import type { HttpRule, IngressRule, PortProtocol, PortRule, Rule } from './rule.ts';
import { checkSelector } from './selector_validation.ts';

/**
 * Refuse a rule that Cilium refuses. Source: pkg/policy/api/rule_validation.go.
 * @throws PolicyError naming file, line, column and field
 */
export function sanitizeRule(rule: Rule): void {
  if (rule.ingress.length === 0) {
    const nothing = 'a rule must hold at least one entry in ingress (ingressDeny, egress, egressDeny come later)';
    throw new PolicyError(rule.position, rule.path, nothing);
  }
  checkSelector(rule.endpointSelector);
  for (const ingress of rule.ingress) sanitizeIngress(ingress, rule);
}

function sanitizeIngress(ingress: IngressRule, rule: Rule): void {
  const position = ingress.origin.position ?? rule.position;
  const { fromEndpoints = [], fromEntities = [] } = ingress;
  if (fromEndpoints.length > 0 && fromEntities.length > 0) {
    const both = 'combining fromEndpoints and fromEntities is not supported by Cilium: write two ingress entries';
    throw new PolicyError(position, ingress.path, both);
  }
  for (const peer of fromEndpoints) checkSelector(peer);
  for (const [index, entity] of fromEntities.entries()) {
    if (ENTITY_NAMES.includes(entity)) continue;
    const unknown = `unknown entity "${entity}", expected one of ${[...ENTITY_NAMES].sort().join(', ')}`;
    throw new PolicyError(position, `${ingress.path}.fromEntities[${index}]`, unknown);
  }
  for (const portRule of ingress.toPorts) sanitizePortRule(portRule);
}

function sanitizePortRule(portRule: PortRule): void {
  const { ports, http, position, path } = portRule;
  if (ports.length > MAX_PORTS) {
    throw new PolicyError(position, `${path}.ports`, `${ports.length} ports are too many, at most ${MAX_PORTS}`);
  }
  for (const port of ports) {
    const number = sanitizePort(port);
    if (http.length === 0) continue;
    if (port.protocol !== 'TCP') {
      const wrong = `HTTP rules need protocol TCP, this port says ${port.protocol}`;
      throw new PolicyError(port.position, `${port.path}.protocol`, wrong);
    }
    if (number === 0) {
      throw new PolicyError(port.position, `${port.path}.port`, 'HTTP rules cannot be used with port 0');
    }
  }
  for (const [index, rule] of http.entries()) sanitizeHttp(rule, portRule, index);
}

function sanitizePort({ port, position, path }: PortProtocol): number {
  if (port === '') throw new PolicyError(position, `${path}.port`, 'a port must be given');
  const number = parsePort(port);
  if (number === undefined) {
    const problem = /^[-a-z0-9]*[a-z][-a-z0-9]*$/i.test(port)
      ? `"${port}" is a port name, and named ports are not supported yet`
      : `"${port}" is not a port number (0..65535)`;
    throw new PolicyError(position, `${path}.port`, problem);
  }
  return number;
}

/** Method and path must be regular expressions; the host is not checked, as in Cilium: a bad one fails in the proxy. */
function sanitizeHttp(rule: HttpRule, { path, position }: PortRule, index: number): void {
  for (const field of ['path', 'method'] as const) {
    const expression = rule[field];
    if (!expression) continue;
    try {
      RE2JS.compile(expression);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const where = `${path}.rules.http[${index}].${field}`;
      throw new PolicyError(position, where, `"${expression}" is not a regular expression (RE2): ${reason}`, cause);
    }
  }
}
