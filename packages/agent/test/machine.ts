import {
  CTX_ACT_DROP,
  CTX_ACT_OK,
  cilFromContainer,
  cilFromHost,
  cilFromNetdev,
  cilToNetdev,
  Datapath,
  type DatapathOptions,
  DEFAULT_NODE,
  Skb,
  type Step,
} from '@ciliate/bpf';
import { EventRing, NULL } from '@ciliate/maps';
import { formatIpv4, parseFrame, parseIpv4, TCP_ACK, TCP_SYN, tcpSegment } from '@ciliate/packet';
import type { Agent, Endpoint } from '../src/index.ts';

const FLOWS = 40;

const place = (text: string): { address: number; port: number } => {
  const [address = '', port] = text.split(':');
  return { address: parseIpv4(address)!, port: Number(port) };
};

/** One machine, whose routes all lead out of its one device. */
export class Machine {
  readonly #agent: Agent;
  readonly #datapath: Datapath;
  readonly #skb: Skb;
  readonly #events: EventRing;

  constructor(agent: Agent, options: Partial<DatapathOptions> = {}) {
    this.#agent = agent;
    this.#events = EventRing.create(agent.memory, 64 * 1024);
    const fib = () => ({ ifindex: DEFAULT_NODE.netdev.ifindex, smac: NULL, dmac: NULL });
    this.#datapath = new Datapath(agent.memory, { shard: 0, events: this.#events, seed: agent.seed, fib, ...options });
    this.#skb = new Skb(agent.memory);
  }

  /** Where a SYN goes to that a client sends to `to`; or why it is dropped. @param from a pod's address, or another's */
  connect(from: string, srcPort: number, to: string): string {
    return this.#send(from, `${from}:${srcPort}`, to, TCP_SYN, 'dst');
  }

  /** From where the answer comes that a pod gives to the client. */
  answer(server: string, client: string): string {
    return this.#send(server.split(':')[0]!, server, client, TCP_SYN | TCP_ACK, 'src');
  }

  /** All places that connections from one client go to. */
  spread(from: string, to: string): string[] {
    const places = Array.from({ length: FLOWS }, (_, i) => this.connect(from, 40_000 + i, to));
    return [...new Set(places)].sort();
  }

  close(): void {
    this.#datapath.destroy();
    this.#skb.destroy();
    this.#events.destroy();
  }

  #send(sender: string, from: string, to: string, flags: number, end: 'src' | 'dst'): string {
    const [src, dst] = [place(from), place(to)];
    const ports = { srcPort: src.port, dstPort: dst.port };
    const frame = tcpSegment({ src: src.address, dst: dst.address, ...ports, seq: 1, flags });
    const steps: Step[] = [];
    this.#datapath.steps = steps;
    const action = this.#run(this.#agent.endpointOfAddress(parseIpv4(sender)!), frame);
    this.#events.drain(() => {});
    if (action === CTX_ACT_DROP) return `dropped: ${steps.find((step) => step.kind === 'drop')?.text}`;
    const { ipv4, tcp } = parseFrame(this.#skb.frame());
    return `${formatIpv4(ipv4![end])}:${tcp![`${end}Port`]}`;
  }

  /** The programs on the packet's way; between them the host's stack routes, to pods through cilium_host. */
  #run(pod: Endpoint | undefined, frame: Uint8Array): number {
    const [dp, skb] = [this.#datapath, this.#skb];
    const { ciliumHostIfindex, netdev } = dp.config.node;
    skb.load(frame, pod?.ifindex ?? netdev.ifindex);
    const action = pod === undefined ? cilFromNetdev(dp, skb) : cilFromContainer(dp, dp.program(pod.id)!, skb);
    if (action !== CTX_ACT_OK) return action;
    const toPod = this.#agent.endpointOfAddress(parseFrame(skb.frame()).ipv4!.dst) !== undefined;
    if (pod === undefined && !toPod) return action; // for the node itself
    skb.ifindex = toPod ? ciliumHostIfindex : netdev.ifindex;
    skb.ingressIfindex = 0;
    return toPod ? cilFromHost(dp, skb) : cilToNetdev(dp, skb);
  }
}
