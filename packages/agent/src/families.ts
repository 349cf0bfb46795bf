import type { ObjectStore } from '@ciliate/k8s';
import { isIpv6, parseIp } from '@ciliate/packet';

/** Which of IPv4 and IPv6 a cluster uses: `--enable-ipv4` and `--enable-ipv6` of the agent. At least one is true. */
export interface Families {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
}

/** What the addresses of the pods, and of the node as pods tell them, ask for; IPv4 if there are none. */
export function familiesOf(store: ObjectStore): Families {
  const addresses = store.list('Pod').flatMap(({ status }) => [...status.podIPs, ...status.hostIPs]);
  const ipv6 = addresses.some((text) => isIpv6(parseIp(text)!));
  return { ipv4: !ipv6 || addresses.some((text) => !isIpv6(parseIp(text)!)), ipv6 };
}

export const isDualStack = ({ ipv4, ipv6 }: Families): boolean => ipv4 && ipv6;
