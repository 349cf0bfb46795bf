import {
  allowed,
  CompiledPolicy,
  HeaderLog,
  type HttpNetworkPolicyRules,
  httpRulesToNpds,
  type LoggedHeader,
  RequestHeaderMap,
} from '@ciliate/envoy';
import { DEFAULT_POLICY_CONFIG, type PortRuleHTTP, parsePolicy } from '@ciliate/policy';
import type { Command } from 'commander';
import { Fields } from '../../conformance/fields.ts';
import { documentOf } from '../../conformance/files.ts';
import { decodePolicy, refusalOf } from '../../conformance/objects.ts';
import { JSON_DOCUMENT, setCommand } from '../../conformance/set_command.ts';
import type { Tally } from '../../conformance/tally.ts';

/** Whose requests they are, and where to; nothing of the answers depends on it. */
const CLIENT = { remoteIdentity: 1001, port: 80 };

export function httpSet(): Command {
  const description = 'HTTP rules: what the proxy is sent for them, which requests pass, and what becomes of headers';
  return setCommand('http', { description, files: JSON_DOCUMENT }, (file, tally) => {
    const facts = new Fields(documentOf(file), file);
    tally.case();
    for (const group of facts.all('groups')) checkGroup(group, file, tally);
    for (const vector of facts.all('http_sanitize')) checkRule(vector, file, tally);
    const [crosscheck, ...vectors] = facts.has('proxy_test_crosscheck') ? facts.all('proxy_test_crosscheck') : [];
    if (crosscheck === undefined) return;
    const decide = decider(crosscheck.raw('policy') as HttpNetworkPolicyRules);
    for (const vector of vectors) checkRequest(vector, decide, `${file}: the proxy's own test`, tally);
  });
}

function checkGroup(group: Fields, file: string, tally: Tally): void {
  const name = group.text('name');
  const rules = group.has('rules') ? group.list('rules') : [];
  const place = `${file}: ${name}`;
  const ours = httpRulesToNpds(importedRules(rules, place));
  tally.check('sent to the proxy', place, ours ?? null, group.raw('npds_http_rules_after_sort'));
  const decide = decider(ours);
  for (const vector of group.all('vectors')) checkRequest(vector, decide, place, tally);
}

/** The rules as a policy brings them in. */
function importedRules(rules: readonly unknown[], where: string): readonly PortRuleHTTP[] {
  const [rule] = parsePolicy(decodePolicy(policyWith(rules), where), { config: DEFAULT_POLICY_CONFIG, services: [] });
  return rule?.ingress.allow[0]?.toPorts[0]?.l7?.http ?? [];
}

const policyWith = (http: readonly unknown[]): object => ({
  apiVersion: 'cilium.io/v2',
  kind: 'CiliumNetworkPolicy',
  metadata: { name: 'http', namespace: 'default' },
  spec: {
    endpointSelector: {},
    ingress: [{ toPorts: [{ ports: [{ port: '80', protocol: 'TCP' }], rules: { http } }] }],
  },
});

interface Request {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly headers: readonly (readonly [string, string])[];
}
type Decide = (request: Request) => object;

/** The proxy with these rules, and none other. Its answers have the fields and forms of the facts. */
function decider(httpRules: HttpNetworkPolicyRules | undefined): Decide {
  const policy = new CompiledPolicy({
    ...{ endpointIps: ['10.0.0.1'], endpointId: 1 },
    ingressPerPortPolicies: [{ port: CLIENT.port, rules: [httpRules === undefined ? {} : { httpRules }] }],
  });
  return (request) => {
    const headers = new RequestHeaderMap(request);
    const log = new HeaderLog();
    const verdict = allowed(policy, headers, log, CLIENT);
    return {
      allowed: verdict.allowed,
      status: verdict.allowed ? 'forwarded' : 403,
      headers_after: listed(headers.lines.map(([name, value]) => ({ name, value }))),
      missing_headers: listed(log.missing),
      rejected_headers: listed(log.rejected),
    };
  };
}

const listed = (headers: readonly LoggedHeader[]): readonly LoggedHeader[] | null =>
  headers.length === 0 ? null : headers;

function checkRequest(vector: Fields, decide: Decide, place: string, tally: Tally): void {
  const request = vector.object('request');
  const headers = request.has('headers') ? request.all('headers') : [];
  const ours = decide({
    ...{ method: request.text('method'), path: request.text('path'), authority: request.text('authority') },
    headers: headers.map((header) => [header.text('name').toLowerCase(), header.text('value')]),
  });
  const theirs = Object.fromEntries(Object.keys(ours).map((name) => [name, vector.raw(name) ?? null]));
  tally.check('request', `${place}: ${JSON.stringify(request.raw('method'))} ${request.text('path')}`, ours, theirs);
}

/** What is wrong is said otherwise here; that something is, must agree. */
function checkRule(vector: Fields, file: string, tally: Tally): void {
  const rule = vector.raw('rule');
  const refusal = refusalOf(() => importedRules([rule], file));
  const theirs = vector.raw('error') ?? 'valid';
  const shown = [refusal?.message ?? 'valid', theirs] as const;
  tally.check('rule valid', `${file}: ${JSON.stringify(rule)}`, refusal === undefined, theirs === 'valid', shown);
}
