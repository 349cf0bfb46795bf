import { KAFKA_API_KEYS, type PortRuleKafka } from '@ciliate/policy';
import type { KafkaRequest } from './request.ts';

/** `cilium.KafkaNetworkPolicyRule`: a request matches if each part that is named matches. */
export interface KafkaNetworkPolicyRule {
  /** Negative: any. */
  readonly apiVersion: number;
  /** None: any. */
  readonly apiKeys: readonly number[];
  /** '': any. */
  readonly clientId: string;
  /** '': any. */
  readonly topic: string;
}

/** What a role may do: its requests by number. Source: pkg/policy/api/kafka of cilium/proxy. */
const ROLES: Readonly<Record<string, readonly number[]>> = {
  produce: [0, 3, 18],
  consume: [1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 18],
};
/** Requests that are about topics; of others a rule's topic says nothing. */
const ABOUT_TOPICS = new Set([0, 1, 2, 3, 4, 5, 6, 8, 9, 19, 20, 21, 23, 24, 27, 28, 34, 35, 37]);

/** One Kafka rule of a policy as the proxy reads it. Names count in any case. */
export function kafkaRuleToNpds({ role, apiKey, apiVersion, clientID, topic }: PortRuleKafka): KafkaNetworkPolicyRule {
  const named = apiKey === '' ? [] : [KAFKA_API_KEYS.indexOf(apiKey.toLowerCase())];
  return {
    apiVersion: apiVersion === '' ? -1 : Number(apiVersion),
    apiKeys: role === '' ? named : ROLES[role.toLowerCase()]!,
    clientId: clientID,
    topic,
  };
}

/**
 * Do the rules, asked in their order, let the request pass? Each topic of it must be named by a rule that matches
 * otherwise; the rule that names the last one lets it pass, as does one that names no topic. A request about topics
 * that lists none never matches a rule that names one. Source: cilium/proxy proxylib/kafka/kafkalib/policy.go.
 */
export function kafkaAllowed(rules: readonly KafkaNetworkPolicyRule[], request: KafkaRequest): boolean {
  if (rules.length === 0) return true;
  const left = new Set(request.topics?.map(({ name }) => name));
  return rules.some(({ apiVersion, apiKeys, clientId, topic }) => {
    if (apiKeys.length > 0 && !apiKeys.includes(request.apiKey)) return false;
    if (apiVersion >= 0 && apiVersion !== request.apiVersion) return false;
    if (clientId !== '' && clientId !== request.clientId) return false;
    if (topic === '' || !ABOUT_TOPICS.has(request.apiKey)) return true;
    return left.delete(topic) && left.size === 0;
  });
}
