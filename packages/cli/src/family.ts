import { type Endpoint, podName } from '@ciliate/agent';
import { InputError } from '@ciliate/k8s';
import { formatIp, type IpAddress, isIpv6 } from '@ciliate/packet';
import type { Command } from 'commander';

/** How the two ends of a connection address each other. */
export interface AddressPair {
  from: IpAddress;
  to: IpAddress;
}

export interface FamilyOptions {
  ipv6?: true;
}

export const withFamilyOption = (command: Command): Command =>
  command.option('--ipv6', 'between the IPv6 addresses of the two; by default the first family that both have');

/**
 * In the family of the sender's address; of a pod in the first family, as the sender's addresses are listed, that both have.
 * @param name of the target, for the message
 * @throws InputError if there is none
 */
export function addressPair(
  sender: Endpoint | IpAddress,
  target: readonly IpAddress[],
  name: string,
  { ipv6 }: FamilyOptions,
): AddressPair {
  const own = typeof sender === 'object' ? sender.addresses : [sender];
  for (const from of own) {
    if (ipv6 && !isIpv6(from)) continue;
    const to = target.find((address) => isIpv6(address) === isIpv6(from));
    if (to !== undefined) return { from, to };
  }
  const family = ipv6 ? 'both have IPv6 addresses' : 'have addresses of one family';
  const who = typeof sender === 'object' ? podName(sender) : formatIp(sender);
  throw new InputError(`${who} and ${name} do not ${family}`, { from: who });
}
