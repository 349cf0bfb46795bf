import { type Agent, networkPolicyOf, type PolicyReceiver } from '@ciliate/agent';
import { encodeDiscoveryResponse, type NetworkPolicy } from '@ciliate/envoy';
import fc from 'fast-check';

/** What policies may say in the law, and a plain model of what must then happen to one request. */

const ORGS = ['empire', 'alliance'];
const TIERS = ['front', 'back'];
export const SERVER = 'server';
export const CLIENTS = ORGS.flatMap((org) => TIERS.map((tier) => ({ name: `${org}-${tier}`, labels: { org, tier } })));

interface HttpRule {
  method?: string;
  path?: string;
}
interface Rule {
  kind: 'allow' | 'deny';
  from: Partial<Record<'org' | 'tier', string>>;
  port: number;
  http: HttpRule[] | undefined;
  /** Only of an allow: `authentication: { mode: required }`, which nobody ever gets here. */
  authenticate: boolean;
}

const METHODS = ['GET', 'POST', 'PUT'];
const PATHS = ['/', '/v1/a', '/v1/b?x=1'];
const http: fc.Arbitrary<HttpRule> = fc.record(
  { method: fc.constantFrom(...METHODS, 'GET|POST'), path: fc.constantFrom('/', '/v1/a', '/v1/.*', '/v1/b') },
  { requiredKeys: [] },
);
const rule: fc.Arbitrary<Rule> = fc.record({
  kind: fc.constantFrom('allow', 'allow', 'allow', 'allow', 'deny'),
  from: fc.record({ org: fc.constantFrom(...ORGS), tier: fc.constantFrom(...TIERS) }, { requiredKeys: [] }),
  port: fc.constantFrom(80, 80, 80, 8080),
  http: fc.option(fc.array(http, { minLength: 1, maxLength: 3 }), { nil: undefined }),
  authenticate: fc.constantFrom(false, false, false, false, true),
});
/** What one policy must do to some requests. */
export const scenario = fc.record({
  rules: fc.array(rule, { maxLength: 4 }),
  audit: fc.boolean(),
  /** Clients of whom the datapath knows, but the proxy does not yet: their identities reach it later. */
  unheard: fc.constantFrom(undefined, undefined, ...ORGS),
  asked: fc.array(
    fc.record({
      client: fc.constantFrom(...CLIENTS),
      method: fc.constantFrom(...METHODS),
      target: fc.constantFrom(...PATHS),
    }),
    { minLength: 8, maxLength: 8 },
  ),
});
type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never;
export type Asked = Scenario['asked'][number];

export interface Law {
  /** What the datapath says: 0, or 133 no rule allows, 181 a rule denies, 189 authentication required. */
  readonly code: 0 | 133 | 181 | 189;
  readonly sees: 'answer' | 'time-out' | '403' | 'reset';
  /** By way of the proxy: then Hubble words an audited verdict as allowed, as for all redirects. */
  readonly redirected: boolean;
}

/** Straight from the rules. */
export function lawOf({ rules, audit, unheard }: Scenario, { client, method, target }: Asked): Law {
  const selected = rules.filter(
    ({ from, port }) =>
      port === 80 && Object.entries(from).every(([key, value]) => client.labels[key as 'org' | 'tier'] === value),
  );
  const allowing = selected.filter(({ kind }) => kind === 'allow');
  const code = codeOf(rules, selected, allowing);
  if (code !== 0 && !audit) return { code, sees: 'time-out', redirected: false };
  const isJudged = code === 0 || code === 189; // what no entry allows has no entry that redirects
  if (!isJudged || allowing.length === 0) return { code, sees: 'answer', redirected: false };
  const redirected = allowing.some((one) => one.http !== undefined);
  if (redirected && client.labels.org === unheard) return { code, sees: 'reset', redirected };
  const full = (pattern: string | undefined, text: string): boolean =>
    pattern === undefined || new RegExp(`^(?:${pattern})$`).test(text);
  const passes = allowing.some(
    (one) => one.http === undefined || one.http.some((h) => full(h.method, method) && full(h.path, target)),
  );
  return { code, sees: passes ? 'answer' : '403', redirected };
}

function codeOf(rules: readonly Rule[], selected: readonly Rule[], allowing: readonly Rule[]): Law['code'] {
  if (rules.length === 0) return 0;
  if (selected.some(({ kind }) => kind === 'deny')) return 181;
  if (allowing.length === 0) return 133;
  return allowing.some(({ authenticate }) => authenticate) ? 189 : 0;
}

export function policyOf(rules: readonly Rule[]): string {
  if (rules.length === 0) return '';
  const sides = (kind: Rule['kind']) =>
    rules
      .filter((one) => one.kind === kind)
      .map(({ from, port, http, authenticate }) => ({
        fromEndpoints: [{ matchLabels: from }],
        toPorts: [
          { ports: [{ port: `${port}`, protocol: 'TCP' }], ...(http && kind === 'allow' ? { rules: { http } } : {}) },
        ],
        ...(authenticate && kind === 'allow' ? { authentication: { mode: 'required' } } : {}),
      }));
  const [ingress, ingressDeny] = [sides('allow'), sides('deny')];
  const spec = {
    endpointSelector: { matchLabels: { app: SERVER } },
    ...(ingress.length > 0 && { ingress }),
    ...(ingressDeny.length > 0 && { ingressDeny }),
  };
  return JSON.stringify({ apiVersion: 'cilium.io/v2', kind: 'CiliumNetworkPolicy', metadata: { name: 'law' }, spec });
}

/** Tells a proxy all that the agent's endpoints are held to, as if identities of one org had not come there yet. */
export async function tellProxy(agent: Agent, proxy: PolicyReceiver, unheard: string | undefined): Promise<void> {
  const names = CLIENTS.filter(({ labels }) => labels.org === unheard).map(({ name }) => name);
  const identities = new Set(names.map((name) => agent.endpointOfPod(name)!.identity));
  const policies = agent.endpoints.flatMap((endpoint) => networkPolicyOf(endpoint, endpoint.policy) ?? []);
  const response = encodeDiscoveryResponse(
    'law',
    policies.map((policy) => without(policy, identities)),
  );
  const answer = await proxy.applyPolicy(response);
  if (!answer.ack) throw new Error(answer.reason);
}

/** Lists that are left empty would mean everybody, and so go. */
function without(policy: NetworkPolicy, identities: ReadonlySet<number>): NetworkPolicy {
  const ingressPerPortPolicies = policy.ingressPerPortPolicies!.flatMap((entry) => {
    const rules = entry.rules!.flatMap((rule) => {
      const remotePolicies = rule.remotePolicies!.filter((identity) => !identities.has(identity));
      return remotePolicies.length === 0 && rule.remotePolicies!.length > 0 ? [] : [{ ...rule, remotePolicies }];
    });
    return rules.length === 0 ? [] : [{ ...entry, rules }];
  });
  return { ...policy, ingressPerPortPolicies };
}

export const podYaml = (name: string, address: string, labels: Record<string, string>, server = ''): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: ${JSON.stringify(labels)}, annotations: { ${server} } }
spec: { containers: [{ name: main, ports: [{ containerPort: 80 }] }] }
status: { podIP: ${address}, hostIP: 192.168.1.1 }
---`;

/** @param server the server's annotation */
export const clusterYaml = (server = ''): string =>
  CLIENTS.map(({ name, labels }, index) => podYaml(name, `10.0.0.${index + 1}`, labels)).join('') +
  podYaml(SERVER, '10.0.0.100', { app: SERVER }, server);
