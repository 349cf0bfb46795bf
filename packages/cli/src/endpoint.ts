import type { Agent, Endpoint } from '@ciliate/agent';
import { InputError, type Pod } from '@ciliate/k8s';

/** Undefined: the pod is on another node. */
export const endpointOf = (agent: Agent, { metadata: { namespace, name } }: Pod): Endpoint | undefined =>
  agent.endpointOfPod(`${namespace}/${name}`);

/** @throws InputError for a pod that is on another node than the agent */
export function senderOf(agent: Agent, pod: Pod): Endpoint {
  const endpoint = endpointOf(agent, pod);
  if (endpoint !== undefined) return endpoint;
  const { namespace, name } = pod.metadata;
  const where = pod.spec.nodeName === undefined ? 'another node' : `the node ${pod.spec.nodeName}`;
  throw new InputError(`${namespace}/${name} is on ${where}: play that one by --node`, { pod: `${namespace}/${name}` });
}
