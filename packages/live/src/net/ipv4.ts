import type { Agent, Endpoint } from '@ciliate/agent';
import type { IpAddress } from '@ciliate/packet';

/** Live pods speak IPv4: a pod whose first address is another never becomes one. */
const v4 = (address: IpAddress): number => {
  if (typeof address === 'number') return address;
  throw new RangeError('a live pod has an IPv4 address');
};

export const podIpv4 = ({ address }: Endpoint): number => v4(address);

/** From which the proxies speak. */
export const nodeIpv4 = (agent: Agent): number => v4(agent.nodeAddressFor(0));
