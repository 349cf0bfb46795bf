import { denialOf, kafkaAllowed, kafkaRuleToNpds, readRequest } from '@ciliate/envoy';
import { InputError } from '@ciliate/k8s';
import { DEFAULT_POLICY_CONFIG, type PortRuleKafka, parsePolicy } from '@ciliate/policy';
import type { Command } from 'commander';
import { Fields } from '../../conformance/fields.ts';
import { documentOf } from '../../conformance/files.ts';
import { decodePolicy, refusalOf } from '../../conformance/objects.ts';
import { JSON_DOCUMENT, setCommand } from '../../conformance/set_command.ts';
import type { Tally } from '../../conformance/tally.ts';

export function kafkaSet(): Command {
  const description = 'Kafka rules: which requests pass, and the answers to those that do not';
  return setCommand('kafka', { description, files: JSON_DOCUMENT }, (file, tally) => {
    const facts = new Fields(documentOf(file), file).object('kafka');
    tally.case();
    for (const vector of facts.all('vectors')) checkRequest(vector, file, tally);
    for (const vector of facts.all('sanitize')) checkRule(vector, file, tally);
  });
}

/** The rules as a policy brings them in. */
function importedRules(rules: readonly unknown[], where: string): readonly PortRuleKafka[] {
  const [rule] = parsePolicy(decodePolicy(policyWith(rules), where), { config: DEFAULT_POLICY_CONFIG, services: [] });
  return rule?.ingress.allow[0]?.toPorts[0]?.l7?.kafka ?? [];
}

const policyWith = (kafka: readonly unknown[]): object => ({
  apiVersion: 'cilium.io/v2',
  kind: 'CiliumNetworkPolicy',
  metadata: { name: 'kafka', namespace: 'default' },
  spec: {
    endpointSelector: {},
    ingress: [{ toPorts: [{ ports: [{ port: '9092', protocol: 'TCP' }], rules: { kafka } }] }],
  },
});

function checkRequest(vector: Fields, file: string, tally: Tally): void {
  const place = `${file}: ${vector.textOr('request', 'request')} under ${JSON.stringify(vector.raw('rules'))}`;
  const hex = vector.text('request_hex');
  if (!/^([0-9a-f]{2})+$/i.test(hex)) throw new InputError(`${place}: request_hex: want bytes in hex`, { file });
  const request = readRequest(Buffer.from(hex, 'hex'));
  const rules = importedRules(vector.list('rules'), place).map(kafkaRuleToNpds);
  const allowed = kafkaAllowed(rules, request);
  const denial = allowed ? undefined : denialOf(request);
  const ours = {
    api_key: request.apiKey,
    api_version: request.apiVersion,
    topics: request.parsed ? (request.topics ?? []).map(({ name }) => name).sort() : null,
    allowed,
    denied_response_hex: denial === undefined ? null : Buffer.from(denial).toString('hex'),
  };
  const topics = vector.has('topics') ? vector.texts('topics').sort() : null;
  const theirs = Object.fromEntries(Object.keys(ours).map((name) => [name, vector.raw(name) ?? null]));
  tally.check('request', place, ours, { ...theirs, topics });
}

/** What is wrong is said otherwise here; that something is, must agree. */
function checkRule(vector: Fields, file: string, tally: Tally): void {
  const raw = vector.raw('rule');
  const place = `${file}: ${JSON.stringify(raw)}`;
  let rules: readonly PortRuleKafka[] = [];
  const refusal = refusalOf(() => {
    rules = importedRules([raw], file);
  });
  const theirs = vector.raw('error') ?? 'valid';
  const shown = [refusal?.message ?? 'valid', theirs] as const;
  tally.check('rule valid', place, refusal === undefined, theirs === 'valid', shown);
  if (theirs !== 'valid' || refusal !== undefined) return;
  const [ours] = rules.map(kafkaRuleToNpds);
  const keys = ours === undefined || ours.apiKeys.length === 0 ? null : ours.apiKeys;
  const wanted = { api_keys: vector.raw('api_keys') ?? null, api_version: vector.raw('api_version') };
  tally.check('sent to the proxy', place, { api_keys: keys, api_version: ours?.apiVersion }, wanted);
}
