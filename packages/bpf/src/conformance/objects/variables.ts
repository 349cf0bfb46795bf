import { bytesOfIpv6, bytesOfMac } from '../addresses.ts';
import type { ScenarioEndpoint, ScenarioNode } from '../scenario.ts';

/** What Cilium's agent sets when it loads an object, by the variable's name. */
export type Variables = ReadonlyMap<string, Uint8Array>;

const HOST_IDENTITY = 1;
const ETH_HLEN = 14;

const number = (value: number, bytes: 1 | 2 | 4): Uint8Array => {
  const all = new Uint8Array(4);
  new DataView(all.buffer).setUint32(0, value, true);
  return all.subarray(0, bytes);
};
/** In network order. */
const ipv4 = (text: string): Uint8Array => Uint8Array.from(text.split('.').map(Number));
const named = (values: Record<string, Uint8Array>): Variables =>
  new Map(Object.entries(values).map(([name, bytes]) => [`__config_${name}`, bytes]));

const ofNode = (node: ScenarioNode): Record<string, Uint8Array> => ({
  service_loopback_ipv4: ipv4(node.service_loopback_ipv4),
  router_ipv6: bytesOfIpv6(node.router_ipv6),
  nat_ipv4_masquerade: ipv4(node.ipv4),
  nat_ipv6_masquerade: bytesOfIpv6(node.ipv6),
});
const ofDevice = ({ ifindex, mac }: { ifindex: number; mac: string }): Record<string, Uint8Array> => ({
  interface_ifindex: number(ifindex, 4),
  interface_mac: bytesOfMac(mac),
});

export const lxcVariables = (node: ScenarioNode, endpoint: ScenarioEndpoint): Variables =>
  named({
    ...ofNode(node),
    ...ofDevice({ ifindex: endpoint.ifindex, mac: endpoint.node_mac }),
    endpoint_id: number(endpoint.id, 2),
    endpoint_ipv4: ipv4(endpoint.ipv4),
    endpoint_ipv6: bytesOfIpv6(endpoint.ipv6),
    security_label: number(endpoint.identity, 4),
    policy_verdict_log_filter: number(endpoint.policy_verdict_log_filter, 4),
  });

/** One object for the node's device and for its host. */
export const hostVariables = (node: ScenarioNode): Variables =>
  named({
    ...ofNode(node),
    ...ofDevice(node.eth0),
    security_label: number(HOST_IDENTITY, 4),
    secctx_from_ipcache: number(1, 1),
    eth_header_length: number(ETH_HLEN, 1),
  });

export const overlayVariables = (node: ScenarioNode): Variables =>
  named({ ...ofNode(node), ...ofDevice(node.cilium_vxlan) });
