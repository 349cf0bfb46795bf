import { type Agent, type Endpoint, PROXY_PORT_DNS, PROXY_PORT_KAFKA, PROXY_PORT_TLS, podName } from '@ciliate/agent';
import { MARK_MAGIC_PROXY_EGRESS } from '@ciliate/bpf';
import { ProxyError } from '@ciliate/envoy';
import { InputError } from '@ciliate/k8s';
import { parseFrame, TCP_ACK, TCP_FIN, TCP_RST } from '@ciliate/packet';
import { proxiedAcknowledgement } from './acknowledgement.ts';
import type { Conversation, Side } from './conversations.ts';
import { type Flow, flowOf } from './flow.ts';
import { withAck, withEnds } from './frames.ts';
import { type HttpExchange, readExchanges } from './http_exchanges.ts';
import type { Fate, Node } from './node.ts';
import { ProxiedConnection } from './proxied_connection.ts';
import type { RecordedPacket } from './recording.ts';
import { redirectOf } from './redirect.ts';
import { SegmentStream, seqDiff } from './stream.ts';

/**
 * Plays a recorded TCP connection: a segment is sent only if everything it acknowledges was delivered to its sender.
 * So after a dropped SYN nothing follows: no SYN-ACK, and no data that would look like an answer.
 *
 * A direct connection keeps its recorded segments; only the server's address becomes that of the backend the emulator
 * chose. A connection that policy redirects ends at the proxy: the client's segments keep their bytes and acknowledge the
 * proxy's sequence numbers; the server's recorded segments are not sent, its answers are (see ProxiedConnection).
 */
export class TcpPlayer {
  readonly conversation: Conversation;
  /** Requests and answers if the recorded connection is HTTP, else empty. */
  readonly exchanges: HttpExchange[];
  /** What the programs did with the first packet of the client; undefined while it was not sent. */
  first: Fate | undefined;
  /** The first packet of the client that was dropped. */
  drop: Extract<Fate, { kind: 'dropped' }> | undefined;
  /** Where the connection goes, as the emulator chose. */
  backend: Endpoint | undefined;
  proxied: ProxiedConnection | undefined;
  /** The bytes that reached the client. */
  readonly atClient = new SegmentStream();
  /** A reset reached the client. */
  wasReset = false;
  readonly #agent: Agent;
  readonly #node: Node;
  readonly #atServer = new SegmentStream();
  /** The two ends as the server sees them: its own, and whoever asked it. */
  #ends: Flow | undefined;

  constructor(agent: Agent, node: Node, conversation: Conversation) {
    this.#agent = agent;
    this.#node = node;
    this.conversation = conversation;
    this.exchanges = readExchanges(conversation.streams.client.bytes, conversation.streams.server.bytes);
  }

  /** Bytes of the client that reached the proxy and the server. */
  get reached(): { proxy: number; server: number } {
    const { proxied } = this;
    if (proxied === undefined) return { proxy: 0, server: this.#atServer.bytes.length };
    return { proxy: proxied.bytesFromClient, server: proxied.bytesToServer };
  }

  async play(from: Side, packet: RecordedPacket): Promise<void> {
    if (from === 'client') await this.#fromClient(packet);
    else if (this.proxied === undefined) this.#fromServer(packet);
  }

  async #fromClient(packet: RecordedPacket): Promise<void> {
    const tcp = packet.parsed.tcp!;
    let { frame } = packet;
    if ((tcp.flags & TCP_ACK) !== 0) {
      const ack = this.#acknowledgement(tcp.ack, (tcp.flags & (TCP_FIN | TCP_RST)) !== 0);
      if (ack === undefined) return;
      if (ack !== tcp.ack) frame = withAck(frame, ack);
    }
    const { sender, timeNs } = packet;
    const fate = sender === undefined ? this.#node.fromWorld(frame, timeNs) : this.#node.fromPod(sender, frame, timeNs);
    this.first ??= fate;
    if (fate.kind === 'dropped') this.drop ??= fate;
    else if (fate.kind === 'delivered') this.#reachServer(fate.to, fate.frame);
    else if (fate.kind === 'proxy') await this.#reachProxy(packet, fate);
  }

  /** What a client's segment acknowledges now, or undefined if that has not been delivered to it. */
  #acknowledgement(recorded: number, closes: boolean): number | undefined {
    if (this.proxied !== undefined) return proxiedAcknowledgement(this, recorded, closes);
    const { isn, next } = this.atClient;
    return isn !== undefined && seqDiff(next, recorded) >= 0 ? recorded : undefined;
  }

  #reachServer(backend: Endpoint, frame: Uint8Array): void {
    const parsed = parseFrame(frame);
    this.backend = backend;
    this.#ends = flowOf(parsed)!;
    this.#atServer.add(parsed.tcp!, parsed.payload);
  }

  async #reachProxy(packet: RecordedPacket, fate: Extract<Fate, { kind: 'proxy' }>): Promise<void> {
    const pod = packet.sender;
    const why = NOT_REPLAYED.get(fate.port);
    if (why !== undefined) throw notReplayed(pod!, why);
    if (this.proxied === undefined) {
      const place = flowOf(parseFrame(fate.frame))!.dst;
      this.backend = this.#agent.endpointOfAddress(place.address);
      const redirect = redirectOf(fate.steps);
      // Conntrack would send what comes back to the client to the proxy again, were it not for the listener's own mark.
      const mark = redirect.direction === 'egress' ? MARK_MAGIC_PROXY_EGRESS : 0;
      this.proxied = new ProxiedConnection(this.#agent, this.#node, {
        ...{
          player: this,
          identity: pod?.identity ?? redirect.remoteIdentity,
          address: this.conversation.client,
          place,
          redirect,
        },
        exchangeOf: (request) => request,
        deliver: async (frame, nowNs) => {
          if (pod === undefined) {
            this.reachClient(frame); // by the stack of the host, where no program judges what the proxy says
            return;
          }
          const arrived = this.#node.toPod(pod, frame, mark, nowNs);
          if (arrived.kind === 'delivered') this.reachClient(arrived.frame);
        },
      });
    }
    try {
      await this.proxied.fromClient(fate.frame, packet.timeNs);
    } catch (error) {
      if (!(error instanceof ProxyError) || error.code !== 'REFUSED' || pod === undefined) throw error;
      throw notReplayed(pod, error.message);
    }
  }

  /** A recorded segment of the server, from the backend that has the connection now. */
  #fromServer(packet: RecordedPacket): void {
    const tcp = packet.parsed.tcp!;
    if (this.backend === undefined || this.#ends === undefined) return;
    if ((tcp.flags & TCP_ACK) !== 0 && seqDiff(this.#atServer.next, tcp.ack) < 0) return;
    const frame = withEnds(packet.frame, this.#ends.dst, this.#ends.src);
    const isOutside = this.#agent.endpointOfAddress(this.conversation.client.address) === undefined;
    const fate = isOutside
      ? this.#node.toWorld(this.backend, frame, packet.timeNs)
      : this.#node.fromPod(this.backend, frame, packet.timeNs);
    if (fate.kind === 'delivered' || fate.kind === 'network') this.reachClient(fate.frame);
  }

  /** A segment arrives at the client, from the server or the proxy. */
  reachClient(frame: Uint8Array): void {
    const { tcp, payload } = parseFrame(frame);
    if ((tcp!.flags & TCP_RST) !== 0) this.wasReset = true;
    else this.atClient.add(tcp!, payload);
  }
}

/** Listeners whose connections only live pods can have. */
const NOT_REPLAYED: ReadonlyMap<number, string> = new Map([
  [PROXY_PORT_DNS, 'asks the DNS proxy over TCP: only questions over UDP can be replayed through it'],
  [
    PROXY_PORT_KAFKA,
    'speaks Kafka through the proxy: recorded answers of a broker cannot be replayed, live pods can try it',
  ],
  [PROXY_PORT_TLS, 'speaks TLS through the proxy: recorded bytes cannot be replayed there, live pods can try it'],
]);

function notReplayed(client: Endpoint, why: string): InputError {
  const pod = podName(client);
  return new InputError(`${pod} ${why}`, { pod });
}
