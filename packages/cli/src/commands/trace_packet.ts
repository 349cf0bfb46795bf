import type { Agent, Endpoint } from '@ciliate/agent';
import { DEFAULT_NODE, type MonitorAggregation } from '@ciliate/bpf';
import { findWorkload, InputError, type ObjectStore } from '@ciliate/k8s';
import {
  type IpAddress,
  icmpEcho,
  parseIp,
  TCP_ACK,
  TCP_FIN,
  TCP_RST,
  TCP_SYN,
  tcpSegment,
  udpDatagram,
} from '@ciliate/packet';
import { type FramedPacket, framed, START_NS, tracePacket } from '@ciliate/replay';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type DatapathOptions, withDatapathOptions } from '../datapath_options.ts';
import { senderOf } from '../endpoint.ts';
import { addressPair, type FamilyOptions, withFamilyOption } from '../family.ts';
import { frontendsOf } from '../frontend.ts';
import { type CommonOptions, loadStore, natural, startAgent, toJson, withCommonOptions } from '../options.ts';
import { renderTrace } from '../render_trace.ts';
import { splitPort } from '../target.ts';
import { readTrace } from './replay.ts';

/** Names of the agent's option monitor-aggregation. */
const AGGREGATION: Readonly<Record<string, MonitorAggregation>> = {
  none: 0,
  lowest: 1,
  low: 2,
  medium: 3,
  maximum: 4,
};
const TCP_FLAGS = { syn: TCP_SYN, ack: TCP_ACK, fin: TCP_FIN, rst: TCP_RST } as const;

/** Whoever in the network sends a packet on to the node. */
const NEIGHBOUR_MAC = Uint8Array.of(2, 0, 0, 0, 0xfe, 5);

type Described = Partial<Record<keyof typeof TCP_FLAGS | 'udp' | 'icmp', true>> &
  FamilyOptions & {
    from?: string;
    fromWorld?: IpAddress;
    to?: string;
    sourcePort: number;
  };

interface TracePacketOptions extends CommonOptions, Described, DatapathOptions {
  pcap?: string;
  number?: number;
  alone?: true;
  debug?: true;
  monitorAggregation: string;
}

/** `ciliate trace packet`. */
export function tracePacketCommand(): Command {
  const flags = Object.keys(TCP_FLAGS);
  const command = withFamilyOption(withDatapathOptions(withCommonOptions(new Command('packet'))))
    .description('what the programs do with one packet: each lookup with its bytes, each decision, where it goes')
    .option('--pcap <capture>', 'take the packet from a pcap or pcapng; the packets before it go first')
    .option('--number <number>', 'with --pcap: which, from 1', natural)
    .option('--alone', 'with --pcap: without the packets before it')
    .option('--from <pod>', 'make a packet that this pod sends: [pod/][NAMESPACE/]NAME')
    .option('--from-world <address>', 'make a packet that comes in from the network', address)
    .option(
      '--to <target>',
      'where to: [pod/|svc/][NAMESPACE/]NAME:PORT or ADDRESS:PORT, [ADDRESS]:PORT of IPv6; with --icmp without port',
    )
    .option('--source-port <port>', 'of the packet that is made', port, 40_000);
  for (const flag of flags) command.option(`--${flag}`, `TCP with ${flag.toUpperCase()}; several may be given`);
  return command
    .addOption(new Option('--udp', 'UDP').conflicts([...flags, 'icmp']))
    .addOption(new Option('--icmp', 'an ICMP echo request, of IPv6 an ICMPv6 one').conflicts(flags))
    .option('--debug', 'as if the programs were compiled with DEBUG: their messages too')
    .addOption(
      new Option('--monitor-aggregation <level>', 'how much the programs tell of a known connection')
        .choices(Object.keys(AGGREGATION))
        .default('medium'),
    )
    .action(async (options: TracePacketOptions) => {
      const store = loadStore(options.file);
      checkSource(options);
      const agent = await startAgent(store, options);
      try {
        const { packet, before } = options.pcap === undefined ? made(agent, store, options) : recorded(agent, options);
        const machine = { aggregation: AGGREGATION[options.monitorAggregation]!, debug: options.debug ?? false };
        const trace = tracePacket(agent, packet, machine, before);
        process.stdout.write(options.json ? `${toJson(trace)}\n` : renderTrace(trace));
      } finally {
        await agent.stop();
      }
    });
}

/** The packet comes from one place. */
function checkSource({ pcap, number, alone, from, fromWorld, to, ipv6 }: TracePacketOptions): void {
  const sources = [pcap, from, fromWorld].filter((source) => source !== undefined);
  if (sources.length !== 1) throw new InputError('name one source of the packet: --pcap, --from or --from-world', {});
  if (pcap !== undefined && number === undefined) throw new InputError('--pcap wants --number', {});
  if (pcap !== undefined && to !== undefined)
    throw new InputError('--to: a packet of a capture goes where it goes', {});
  if (pcap !== undefined && ipv6) throw new InputError('--ipv6: a packet of a capture has its addresses', {});
  if (pcap === undefined && to === undefined) throw new InputError('--to: say where the packet goes', {});
  if (pcap === undefined && (number !== undefined || alone))
    throw new InputError('--number and --alone want --pcap', {});
}

interface Chosen {
  packet: FramedPacket;
  before: FramedPacket[];
}

function recorded(agent: Agent, { pcap, number, alone }: TracePacketOptions): Chosen {
  const packets = readTrace(pcap!);
  const index = packets.findIndex((packet) => packet.number === number);
  if (index < 0)
    throw new InputError(`--number ${number}: ${pcap} holds packets 1 to ${packets.at(-1)!.number}`, {
      number: number!,
    });
  const before = alone ? [] : packets.slice(0, index).map((packet) => framed(agent, packet));
  return { packet: framed(agent, packets[index]!), before };
}

function made(agent: Agent, store: ObjectStore, options: TracePacketOptions): Chosen {
  const sender = options.from === undefined ? undefined : podOf(agent, store, options.from);
  const { addresses, port } = targetOf(agent, store, options);
  const ends = addressPair(sender ?? options.fromWorld!, addresses, options.to!, options);
  const macs = {
    srcMac: macNumber(sender?.mac ?? NEIGHBOUR_MAC),
    dstMac: macNumber(sender?.nodeMac ?? DEFAULT_NODE.netdev.mac),
  };
  return {
    packet: { sender, frame: frameOf({ ...macs, src: ends.from, dst: ends.to }, port, options), timeNs: START_NS },
    before: [],
  };
}

function frameOf(
  base: { srcMac: number; dstMac: number; src: IpAddress; dst: IpAddress },
  dstPort: number,
  options: Described,
): Uint8Array {
  if (options.icmp) return icmpEcho({ ...base, id: 1, sequence: 1 });
  const ports = { ...base, srcPort: options.sourcePort, dstPort };
  if (options.udp) return udpDatagram({ ...ports, payload: Uint8Array.of(0, 1) });
  let flags = 0;
  for (const [name, bit] of Object.entries(TCP_FLAGS)) if (options[name as keyof typeof TCP_FLAGS]) flags |= bit;
  return tcpSegment({ ...ports, seq: 1000, flags: flags || TCP_SYN });
}

function podOf(agent: Agent, store: ObjectStore, word: string): Endpoint {
  const pod = findWorkload(store, word);
  if (pod.kind !== 'Pod') throw new InputError(`--from ${word}: a service sends nothing, name a pod`, {});
  return senderOf(agent, pod);
}

interface Target {
  addresses: readonly IpAddress[];
  /** 0 with --icmp. */
  port: number;
}

function targetOf(agent: Agent, store: ObjectStore, { to, udp, icmp }: Described): Target {
  const [name, digits] = splitPort(to!);
  const port = digits === undefined ? 0 : Number(digits);
  if (icmp && digits !== undefined) throw new InputError(`--to ${to}: ICMP has no ports`, {});
  if (!icmp && (port < 1 || port > 65_535)) throw new InputError(`--to ${to}: want a port from 1 to 65535`, {});
  const address = parseIp(name);
  if (address !== undefined) return { addresses: [address], port };
  const target = findWorkload(store, name);
  if (target.kind === 'Pod') return { addresses: target.status.podIPs.map((text) => parseIp(text)!), port };
  if (!icmp) {
    const entries = frontendsOf(agent, `--to ${to}`, target, port, udp ? 'UDP' : 'TCP');
    return { addresses: entries.map(({ frontend }) => frontend.address), port };
  }
  const { namespace, name: service } = target.metadata;
  const entries = agent.services.filter((one) => one.namespace === namespace && one.name === service);
  if (entries.length === 0) throw new InputError(`--to ${to}: the service has no address`, {});
  return { addresses: entries.map(({ frontend }) => frontend.address), port: 0 };
}

const macNumber = (mac: Uint8Array): number => mac.reduce((sum, byte) => sum * 256 + byte, 0);

function address(text: string): IpAddress {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new InvalidArgumentError('want an IPv4 or IPv6 address.');
  return parsed;
}

function port(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > 65_535)
    throw new InvalidArgumentError('want a port from 1 to 65535.');
  return value;
}
