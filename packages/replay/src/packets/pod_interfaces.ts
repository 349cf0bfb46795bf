import { type Agent, podName } from '@ciliate/agent';
import { bytesOfIp, type IpAddress, isIpv6 } from '@ciliate/packet';
import type { PodInterface } from './interfaces.ts';

// Beside interfaces.ts, because a worker needs that and not the agent, whose modules take longer to load than all others.

export const podInterfaces = (agent: Agent): PodInterface[] =>
  agent.endpoints.map((pod) => {
    const ipv4 = pod.addresses.find((address) => !isIpv6(address));
    return { name: podName(pod), endpoint: pod.id, ipv4: wordsOf(ipv4), ipv6: wordsOf(pod.addresses.find(isIpv6)) };
  });

function wordsOf(address: IpAddress | undefined): Int32Array | undefined {
  if (address === undefined) return undefined;
  const bytes = bytesOfIp(address);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Int32Array.from({ length: bytes.length / 4 }, (_, i) => view.getInt32(4 * i));
}
