import type { AgentOptions, Cidr, DatapathFlags } from '@ciliate/agent';
import { isIpv6, parseIp } from '@ciliate/packet';
import { type Command, InvalidArgumentError, Option } from 'commander';

/** Options of the commands whose packets the programs see, by the names of the agent's flags. */
export interface DatapathOptions extends DatapathFlags, Pick<AgentOptions, 'node'> {}

export function withDatapathOptions(command: Command): Command {
  const flag = (name: string, text: string): Option =>
    new Option(`--${name} [boolean]`, text).preset('true').argParser(boolean);
  const choice = (name: string, text: string, choices: string[]): Option =>
    new Option(`--${name} <choice>`, text).choices(choices);
  return command
    .option('--node <name>', 'play this node: pods that say another one are behind tunnels; default: all are on one')
    .addOption(flag('enable-ipv4', 'IPv4; default: if a pod has such an address'))
    .addOption(flag('enable-ipv6', 'IPv6; default: if a pod has such an address'))
    .addOption(choice('routing-mode', 'how packets get to pods of other nodes; default: native', ['native', 'tunnel']))
    .addOption(choice('tunnel-protocol', 'of --routing-mode tunnel; default: vxlan', ['vxlan', 'geneve']))
    .addOption(
      flag('enable-ipv4-masquerade', 'pods reach the outside world by the address of the node; default: false'),
    )
    .addOption(flag('enable-ipv6-masquerade', 'the same for IPv6'))
    .option('--ipv4-native-routing-cidr <cidr>', 'what pods reach without masquerading', (text) => cidr(text, false))
    .option('--ipv6-native-routing-cidr <cidr>', 'the same for IPv6', (text) => cidr(text, true))
    .addOption(
      choice('bpf-lb-algorithm', 'how the node chooses backends for what comes from the network; default: random', [
        'random',
        'maglev',
      ]),
    )
    .option('--policy-audit-mode', 'let through what policy would drop, and tell; the proxies deny all the same');
}

/** The same, without what else a command has. */
export const datapathFlagsOf = (options: DatapathOptions): DatapathOptions => ({
  node: options.node,
  enableIpv4: options.enableIpv4,
  enableIpv6: options.enableIpv6,
  routingMode: options.routingMode,
  tunnelProtocol: options.tunnelProtocol,
  enableIpv4Masquerade: options.enableIpv4Masquerade,
  enableIpv6Masquerade: options.enableIpv6Masquerade,
  ipv4NativeRoutingCidr: options.ipv4NativeRoutingCidr,
  ipv6NativeRoutingCidr: options.ipv6NativeRoutingCidr,
  bpfLbAlgorithm: options.bpfLbAlgorithm,
  policyAuditMode: options.policyAuditMode,
});

function boolean(text: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  throw new InvalidArgumentError('want true or false; in front of an argument, with the sign: --OPTION=true.');
}

function cidr(text: string, wantsIpv6: boolean): Cidr {
  const [, prefix = '', digits = ''] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const address = parseIp(prefix);
  const example = wantsIpv6 ? 'fd00::/8' : '10.0.0.0/8';
  if (address === undefined || isIpv6(address) !== wantsIpv6 || Number(digits) > (wantsIpv6 ? 128 : 32))
    throw new InvalidArgumentError(`want a prefix of ${wantsIpv6 ? 'IPv6' : 'IPv4'}, for example ${example}.`);
  return { address, length: Number(digits) };
}
