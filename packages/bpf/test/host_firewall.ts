import type { Scenario } from '../src/conformance/scenario.ts';
import { scenarios } from './scenarios.ts';

/** An entry of the host endpoint's policy map. */
export interface HostRule {
  egress?: boolean;
  /** 0: anybody. */
  identity?: number;
  /** 0: any protocol. */
  protocol?: number;
  port?: number;
  deny?: boolean;
  proxyPort?: number;
  auth?: number;
}

export const HOST_ENDPOINT = 777;

/**
 * The node of a recorded scenario with a policy of its own. No recording has one: what to expect is in Cilium's sources.
 * @param defines what the node is compiled with besides, or, with a '-' in front, without
 */
export function withHostFirewall(name: string, rules: readonly HostRule[], defines: readonly string[] = []): Scenario {
  const scenario = structuredClone(scenarios.find((one) => one.name === name)!);
  const { config, node, endpoints } = scenario;
  const without = defines.filter((define) => define.startsWith('-')).map((define) => define.slice(1));
  const more = defines.filter((define) => !define.startsWith('-'));
  config.defines = [...config.defines.filter((one) => !without.includes(one)), ...more, 'ENABLE_HOST_FIREWALL'];
  endpoints.push({
    id: HOST_ENDPOINT,
    ifindex: node.cilium_host.ifindex,
    ipv4: node.ipv4,
    ipv6: node.ipv6,
    node_mac: node.cilium_host.mac,
    identity: 1,
    policy_verdict_log_filter: 3,
    policy: rules.map(rowOf),
  });
  return scenario;
}

/** `struct policy_key` and `struct policy_entry`. */
function rowOf(rule: HostRule): { key_hex: string; value_hex: string } {
  const { egress = false, identity = 0, protocol = 0, port = 0, deny = false, proxyPort = 0, auth = 0 } = rule;
  const bits = protocol === 0 ? 0 : port === 0 ? 8 : 24;
  const key = new DataView(new ArrayBuffer(12));
  key.setUint32(0, 40 + bits, true);
  key.setUint32(4, identity, true);
  key.setUint8(8, egress ? 1 : 0);
  key.setUint8(9, protocol);
  key.setUint16(10, port);
  const value = new DataView(new ArrayBuffer(8));
  value.setUint16(0, proxyPort);
  value.setUint8(2, (bits << 3) | (deny ? 1 : 0));
  value.setUint8(3, auth === 0 ? 0 : 0x80 | auth);
  const hex = (view: DataView): string => Buffer.from(view.buffer).toString('hex');
  return { key_hex: hex(key), value_hex: hex(value) };
}
