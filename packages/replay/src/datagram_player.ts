import type { Agent, Endpoint } from '@ciliate/agent';
import { type ParsedFrame, parseFrame } from '@ciliate/packet';
import type { Conversation, Side } from './conversations.ts';
import { type Flow, flowOf, isDns } from './flow.ts';
import { withEnds } from './frames.ts';
import type { Fate, Node } from './node.ts';
import { type DnsFate, ProxiedDns } from './proxied_dns.ts';
import type { RecordedPacket } from './recording.ts';

/** A datagram of the client, and what became of it. */
interface Asked {
  question: number | undefined;
  /** To whom, and the two ends as it sees them. */
  delivered: { to: Endpoint; ends: Flow } | undefined;
  /** It went by way of the DNS proxy. */
  proxied: Extract<DnsFate, { kind: 'forwarded' }>['pending'] | undefined;
}

/** Plays a UDP or ICMP conversation: an answer is sent only if the datagram it answers was delivered. */
export class DatagramPlayer {
  readonly conversation: Conversation;
  /** What the programs did with the client's first datagram; undefined while it was not sent. */
  first: Fate | undefined;
  /** Where the client's datagrams went, as the emulator chose. */
  backend: Endpoint | undefined;
  /** The answers that reached the client. */
  readonly answers: ParsedFrame[] = [];
  /** The DNS proxy answered a question itself. */
  wasRefused = false;
  #dns: ProxiedDns | undefined;
  readonly #node: Node;
  readonly #agent: Agent;
  readonly #asked: Asked[] = [];
  readonly #answered = new Set<number>();

  constructor(agent: Agent, node: Node, conversation: Conversation) {
    this.#agent = agent;
    this.#node = node;
    this.conversation = conversation;
  }

  /** Did the recorded packet with this number reach the client? */
  answered(packetNumber: number): boolean {
    return this.#answered.has(packetNumber);
  }

  async play(from: Side, packet: RecordedPacket): Promise<void> {
    if (from === 'client') this.#ask(packet);
    else await this.#answer(packet);
  }

  #ask(packet: RecordedPacket): void {
    const { sender, frame, timeNs } = packet;
    const fate = sender === undefined ? this.#node.fromWorld(frame, timeNs) : this.#node.fromPod(sender, frame, timeNs);
    this.first ??= fate;
    let delivered: Asked['delivered'];
    if (fate.kind === 'delivered') {
      delivered = { to: fate.to, ends: flowOf(parseFrame(fate.frame))! };
      this.backend ??= fate.to;
    }
    if (fate.kind === 'proxy') {
      this.#askProxy(packet, fate.frame);
      return;
    }
    this.#asked.push({ proxied: undefined, question: questionOf(packet.parsed, this.conversation), delivered });
  }

  #askProxy(packet: RecordedPacket, frame: Uint8Array): void {
    this.#dns ??= new ProxiedDns(this.#agent, this.#node, packet.sender!);
    const fate = this.#dns.ask(frame, packet.timeNs);
    const question = questionOf(packet.parsed, this.conversation);
    const proxied = fate.kind === 'forwarded' ? fate.pending : undefined;
    if (proxied !== undefined) this.backend ??= proxied.server;
    this.#asked.push({ question, delivered: undefined, proxied });
    if (fate.kind !== 'answered' || fate.frame === undefined) return;
    this.wasRefused = true;
    this.answers.push(parseFrame(fate.frame));
  }

  async #answer(packet: RecordedPacket): Promise<void> {
    const question = questionOf(packet.parsed, this.conversation);
    const asked = this.#asked.findLast((one) => one.question === question);
    if (asked?.proxied !== undefined) {
      const frame = await this.#dns!.answer(asked.proxied, packet.parsed.payload, packet.timeNs);
      if (frame === undefined) return;
      this.#answered.add(packet.number);
      this.answers.push(parseFrame(frame));
      return;
    }
    if (asked?.delivered === undefined) return;
    const { to, ends } = asked.delivered;
    const client = this.#agent.endpointOfAddress(this.conversation.client.address);
    const frame = withEnds(packet.frame, ends.dst, ends.src);
    const fate =
      client === undefined
        ? this.#node.toWorld(to, frame, packet.timeNs)
        : this.#node.fromPod(to, frame, packet.timeNs);
    if (client === undefined ? fate.kind !== 'network' : fate.kind !== 'delivered' || fate.to !== client) return;
    this.#answered.add(packet.number);
    this.answers.push(parseFrame(fate.frame));
  }
}

/** What pairs an answer with its question: the DNS message id, the ICMP echo identifier and sequence, else nothing. */
function questionOf({ icmp, payload }: ParsedFrame, { transport, server }: Conversation): number | undefined {
  if (icmp !== undefined) return icmp.id * 0x10000 + icmp.sequence;
  if (isDns(transport, server) && payload.length >= 2) return (payload[0]! << 8) | payload[1]!;
  return undefined;
}
