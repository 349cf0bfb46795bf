import type { Agent } from '@ciliate/agent';
import { InputError, type Service } from '@ciliate/k8s';

type ServiceEntry = Agent['services'][number];

/**
 * Where the port of a service is reached, the address that people mean first.
 * @param asked the option that names the port, for the message. @throws InputError with the ports that the service has
 */
export function frontendsOf(
  agent: Agent,
  asked: string,
  service: Service,
  port: number,
  protocol: ServiceEntry['frontend']['protocol'],
): ServiceEntry[] {
  const { namespace, name } = service.metadata;
  const entries = agent.services.filter(
    (one) =>
      one.namespace === namespace &&
      one.name === name &&
      one.frontend.port === port &&
      one.frontend.protocol === protocol,
  );
  if (entries.length === 0) throw noSuchPort(asked, service);
  return entries;
}

export function noSuchPort(asked: string, { metadata: { namespace, name }, spec }: Service): InputError {
  const ports = spec.ports.flatMap(({ port, nodePort, protocol }) =>
    [port, nodePort].flatMap((number) => (number === undefined ? [] : [`${number}/${protocol}`])),
  );
  const why = spec.clusterIPs.length === 0 ? 'is headless, name a pod' : `has ${ports.join(', ')}`;
  return new InputError(`${asked}: service ${namespace}/${name} ${why}`, { namespace, name });
}
