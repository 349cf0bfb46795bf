import type { Agent } from '@ciliate/agent';
import { InputError, type Service } from '@ciliate/k8s';

type ServiceEntry = Agent['services'][number];

/** @param asked the option that names the port, for the message. @throws InputError with the ports that the service has */
export function frontendOf(
  agent: Agent,
  asked: string,
  { metadata: { namespace, name } }: Service,
  port: number,
  protocol: ServiceEntry['frontend']['protocol'],
): ServiceEntry {
  const entries = agent.services.filter((entry) => entry.namespace === namespace && entry.name === name);
  const entry = entries.find(({ frontend }) => frontend.port === port && frontend.protocol === protocol);
  if (entry !== undefined) return entry;
  const ports = entries.map(({ frontend }) => `${frontend.port}/${frontend.protocol}`).join(', ');
  throw new InputError(`${asked}: service ${namespace}/${name} has ${ports || 'no ports'}`, { namespace, name });
}
