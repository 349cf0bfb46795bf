import { isIpv6, type L4Protocol, type Pod, type Position, type Service, type ServicePort } from '@ciliate/k8s';
import { Numbering } from './numbering.ts';

/** `address` is IPv4 in host order. */
export interface Frontend {
  address: number;
  port: number;
  protocol: L4Protocol;
}

/** `id` is the same wherever the same address, port and protocol serve; `pod` is `namespace/name`. */
export interface Backend extends Frontend {
  id: number;
  pod: string;
}

/** One port of a Service. `revNatId` is 1..65535 and names the frontend in connection tracking. */
export interface ServiceEntry {
  namespace: string;
  name: string;
  portName: string | undefined;
  revNatId: number;
  frontend: Frontend;
  /** In the order of the pods' names; empty if no pod serves the port. */
  backends: Backend[];
}

/** The user's Services cannot be served as they stand. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  readonly code = 'BAD_INPUT';
  readonly context: Readonly<Record<string, string | number>>;

  constructor({ file, line, column }: Position, message: string) {
    super(`${file}:${line}:${column}: ${message}`);
    this.context = { file, line, column };
  }
}

const MAX_REV_NAT_ID = 0xffff;

/** The ids of service ports and backends, which stay as long as what they name does: connections are known by them. */
export class ServiceIds {
  readonly services = new Numbering();
  readonly backends = new Numbering();
}

/**
 * Every port of every Service with the pods behind it: those of its namespace that its selector selects. Services come
 * in the order of namespace, name and port as written; new ids are given in that order, the lowest first, so that the same
 * objects give the same ids, whatever the order of files.
 *
 * A target port that is a name is looked up in each pod, among container ports of the protocol; a pod without it does
 * not serve. A Service without a selector has no backends.
 * @param ids of the entries that were there before; those that are not any more are free afterwards
 * @throws ServiceError if two Services claim one address, port and protocol; `ids` are as they were, or some more
 */
export function serviceEntries(
  services: readonly Service[],
  pods: readonly Pod[],
  ids = new ServiceIds(),
): ServiceEntry[] {
  const sortedPods = [...pods].sort(byName);
  const claimed = new Map<string, Service>();
  const entries = [...services].sort(byName).flatMap((service) => {
    const selected = sortedPods.filter((pod) => selects(service, pod));
    return service.spec.ports.map((port) => {
      const frontend = { address: ipv4(service.spec.clusterIP), port: port.port, protocol: port.protocol };
      claim(claimed, service, port);
      const revNatId = ids.services.of(placeOf(frontend));
      if (revNatId > MAX_REV_NAT_ID)
        throw new ServiceError(service.position, `more than ${MAX_REV_NAT_ID} service ports`);
      const backends = selected.flatMap((pod) => backend(pod, port, ids));
      const { namespace, name } = service.metadata;
      return { namespace, name, portName: port.name, revNatId, frontend, backends };
    });
  });
  ids.services.keep(new Set(entries.map(({ frontend }) => placeOf(frontend))));
  ids.backends.keep(new Set(entries.flatMap(({ backends }) => backends.map(placeOf))));
  return entries;
}

function backend(pod: Pod, servicePort: ServicePort, ids: ServiceIds): Backend[] {
  const { protocol } = servicePort;
  const port = targetPort(pod, servicePort);
  // Services are of IPv4: a pod without such an address serves none.
  const podIP = pod.status.podIPs.find((one) => !isIpv6(one));
  if (port === undefined || podIP === undefined) return [];
  const frontend = { address: ipv4(podIP), port, protocol };
  return [{ id: ids.backends.of(placeOf(frontend)), ...frontend, pod: fullName(pod) }];
}

const placeOf = ({ address, port, protocol }: Frontend): string => `${address}:${port}/${protocol}`;

function targetPort(pod: Pod, { targetPort: target, protocol }: ServicePort): number | undefined {
  if (typeof target === 'number') return target;
  const ports = pod.spec.containers.flatMap((container) => container.ports);
  return ports.find((port) => port.name === target && port.protocol === protocol)?.containerPort;
}

function selects(service: Service, pod: Pod): boolean {
  const { selector } = service.spec;
  if (selector === undefined || pod.metadata.namespace !== service.metadata.namespace) return false;
  return Object.entries(selector).every(([key, value]) => pod.metadata.labels[key] === value);
}

function claim(claimed: Map<string, Service>, service: Service, { port, protocol }: ServicePort): void {
  const frontend = `${service.spec.clusterIP}:${port}/${protocol}`;
  const other = claimed.get(frontend);
  if (other !== undefined) {
    const message = `spec.clusterIP: ${frontend} of Service ${fullName(service)} belongs to Service ${fullName(other)} already`;
    throw new ServiceError(service.position, message);
  }
  claimed.set(frontend, service);
}

const fullName = ({ metadata }: Service | Pod): string => `${metadata.namespace}/${metadata.name}`;

/** The separator sorts before every character of a name, so a namespace comes whole before the next. */
function byName(a: Service | Pod, b: Service | Pod): number {
  const [x, y] = [a, b].map(({ metadata }) => `${metadata.namespace}\0${metadata.name}`) as [string, string];
  return x < y ? -1 : Number(x > y);
}

/** Addresses were checked when the objects were decoded. */
const ipv4 = (dotted: string): number => dotted.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
