import type { ObjectStore } from '@ciliate/k8s';
import { isIpv6, parseIp } from '@ciliate/packet';
import type { DatapathFlags } from './datapath_config.ts';
import { AgentError } from './errors.ts';

/** Which of IPv4 and IPv6 a cluster uses: `--enable-ipv4` and `--enable-ipv6` of the agent. At least one is true. */
export interface Families {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
}

/**
 * What the flags say, else what the addresses of the pods, and of the node as pods tell them, ask for; IPv4 if there are none.
 * @throws AgentError BAD_INPUT if both are switched off
 */
export function familiesOf(
  store: ObjectStore,
  { enableIpv4, enableIpv6 }: Pick<DatapathFlags, 'enableIpv4' | 'enableIpv6'> = {},
): Families {
  const addresses = store.list('Pod').flatMap(({ status }) => [...status.podIPs, ...status.hostIPs]);
  const ipv6 = addresses.some((text) => isIpv6(parseIp(text)!));
  const ipv4 = !ipv6 || addresses.some((text) => !isIpv6(parseIp(text)!));
  const families = { ipv4: enableIpv4 ?? ipv4, ipv6: enableIpv6 ?? ipv6 };
  if (families.ipv4 || families.ipv6) return families;
  throw new AgentError('BAD_INPUT', 'neither IPv4 nor IPv6: one of --enable-ipv4 and --enable-ipv6 must be true');
}

export const isDualStack = ({ ipv4, ipv6 }: Families): boolean => ipv4 && ipv6;
