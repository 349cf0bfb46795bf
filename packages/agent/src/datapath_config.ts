import { type DatapathConfig, DEFAULT_CONFIG, type Words } from '@ciliate/bpf';
import { bytesOfIp, type IpAddress, isIpv6 } from '@ciliate/packet';
import type { Families } from './families.ts';

/**
 * What the agent compiles its programs with. The node's IPv6 address is also that of cilium_host, as which programs answer,
 * since address management is not modelled.
 */
export function datapathConfigOf({ ipv4, ipv6 }: Families, nodeAddresses: readonly IpAddress[]): DatapathConfig {
  const own = nodeAddresses.find(isIpv6);
  if (own === undefined) return { ...DEFAULT_CONFIG, ipv4, ipv6 };
  const routerIpv6 = wordsOf(own);
  const addresses = { routerIpv6, directRoutingIpv6: routerIpv6, masqueradeIpv6: routerIpv6 };
  return { ...DEFAULT_CONFIG, ipv4, ipv6, node: { ...DEFAULT_CONFIG.node, ...addresses } };
}

/** As a little-endian machine loads them from a packet. */
function wordsOf(address: bigint): Words {
  const { buffer } = bytesOfIp(address);
  const view = new DataView(buffer);
  return [0, 4, 8, 12].map((at) => view.getUint32(at, true)) as unknown as Words;
}
