import type { PortRuleKafka } from '@ciliate/k8s';
import type { Place } from './place.ts';

const ROLES = ['produce', 'consume'];
const MAX_TOPIC = 255;

/** Requests by name, in the order of their numbers from 0. Source: pkg/policy/api/kafka of cilium/proxy. */
export const KAFKA_API_KEYS: readonly string[] = [
  ...['produce', 'fetch', 'offsets', 'metadata', 'leaderandisr', 'stopreplica', 'updatemetadata', 'controlledshutdown'],
  ...['offsetcommit', 'offsetfetch', 'findcoordinator', 'joingroup', 'heartbeat', 'leavegroup', 'syncgroup'],
  ...['describegroups', 'listgroups', 'saslhandshake', 'apiversions', 'createtopics', 'deletetopics', 'deleterecords'],
  ...['initproducerid', 'offsetforleaderepoch', 'addpartitionstotxn', 'addoffsetstotxn', 'endtxn', 'writetxnmarkers'],
  ...['txnoffsetcommit', 'describeacls', 'createacls', 'deleteacls', 'describeconfigs', 'alterconfigs'],
];

/** @throws PolicyError */
export function checkKafka({ role, apiKey, apiVersion, topic }: PortRuleKafka, place: Place): void {
  if (role !== '' && apiKey !== '')
    place.refuse('role and apiKey cannot stand in one rule: a role names its keys itself');
  if (apiKey !== '' && !KAFKA_API_KEYS.includes(apiKey.toLowerCase())) {
    place.at('apiKey').refuseWord('Kafka request', apiKey, KAFKA_API_KEYS);
  }
  if (role !== '' && !ROLES.includes(role.toLowerCase())) place.at('role').refuseWord('role', role, ROLES);
  if (apiVersion !== '' && !isVersion(apiVersion)) {
    place.at('apiVersion').refuse(`${JSON.stringify(apiVersion)} is not a version (a number 0..32767 in text)`);
  }
  if (topic === '') return;
  if (new TextEncoder().encode(topic).length > MAX_TOPIC) {
    place.at('topic').refuse(`the name is longer than ${MAX_TOPIC} bytes`);
  }
  if (!/^[a-zA-Z0-9\\._-]+$/.test(topic)) {
    const problem = 'it may only have letters, digits, ".", "_", "-" and "\\"';
    place.at('topic').refuse(`${JSON.stringify(topic)} is not the name of a topic: ${problem}`);
  }
}

const isVersion = (text: string): boolean => /^(\+?\d+|-0+)$/.test(text) && Number(text) <= 0x7fff;
