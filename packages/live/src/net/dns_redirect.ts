import type { Agent } from '@ciliate/agent';
import { identityMark, MARK_MAGIC_PROXY_EGRESS } from '@ciliate/bpf';
import type { DnsExchange } from '@ciliate/envoy';
import { flowFromDnsLog } from '@ciliate/hubble';
import { parseFrame, udpDatagram } from '@ciliate/packet';
import { DnsFrames, dnsFrame } from './dns_frames.ts';
import type { Network, Redirected } from './network.ts';
import type { SocketAddress } from './socket_address.ts';

/** Cilium: ProxyForwardTimeout. A server that is silent for longer gets no answer told. */
const FORWARD_TIMEOUT_MS = 10_000;

/** Questions that go to the DNS proxy, over UDP and TCP; the proxy asks from the node's address. */
export class DnsRedirect {
  readonly #agent: Agent;
  readonly #network: Network;
  readonly #nowNs: () => bigint;

  constructor(agent: Agent, network: Network, nowNs: () => bigint) {
    this.#agent = agent;
    this.#network = network;
    this.#nowNs = nowNs;
    agent.dns.onAccessLog = (record) => network.tell(flowFromDnsLog(record, agent.resolver));
  }

  datagram({ client, frame }: Redirected): void {
    if (client === undefined) return; // policy about DNS is about the pods that ask
    const { ip, udp, payload } = parseFrame(frame);
    const destination = { ip: ip!.dst, port: udp!.dstPort };
    const exchange = this.#agent.dns.exchange(client, 'UDP', udp!.srcPort, destination);
    const ends = { src: ip!.dst, srcPort: udp!.dstPort, dst: ip!.src, dstPort: udp!.srcPort };
    this.#ask(exchange, payload.slice(), (answer) =>
      this.#network.toPod(udpDatagram({ ...ends, payload: answer }), MARK_MAGIC_PROXY_EGRESS),
    );
  }

  /** The client's SYN. */
  connection({ client, frame }: Redirected): void {
    if (client === undefined) return;
    const parsed = parseFrame(frame);
    const { ip, tcp } = parsed;
    const end = this.#network.host.take(parsed, (segment) => this.#network.toPod(segment, MARK_MAGIC_PROXY_EGRESS));
    const destination = { ip: ip!.dst, port: tcp!.dstPort };
    const exchange = this.#agent.dns.exchange(client, 'TCP', tcp!.srcPort, destination);
    const frames = new DnsFrames();
    end.events = {
      onData: (bytes) => {
        for (const query of frames.feed(bytes)) this.#ask(exchange, query, (answer) => end.write(dnsFrame(answer)));
      },
      onEnd: () => end.finish(),
      onReset: () => {},
      onTimeout: () => {},
      onDrain: () => {},
      onClosed: () => {},
    };
    end.accept(tcp!);
  }

  #ask(exchange: DnsExchange, query: Uint8Array, reply: (answer: Uint8Array) => void): void {
    const { dns } = this.#agent;
    const verdict = dns.proxy.question(exchange, query, this.#nowNs());
    if (verdict.kind === 'answer') reply(verdict.bytes);
    if (verdict.kind !== 'forward') return;
    const onAnswer = (bytes: Uint8Array): void => void this.#answer(exchange, query, bytes, reply);
    const to = { address: exchange.destination.ip, port: exchange.destination.port };
    const mark = identityMark(exchange.sourceIdentity, MARK_MAGIC_PROXY_EGRESS);
    if (exchange.protocol === 'UDP') this.#forwardDatagram(to, mark, query, onAnswer);
    else this.#forwardOnConnection(to, mark, query, onAnswer, () => reply(dns.proxy.failure(query)));
  }

  #forwardDatagram(to: SocketAddress, mark: number, query: Uint8Array, onAnswer: (bytes: Uint8Array) => void): void {
    const { host } = this.#network;
    const stop = host.ask(this.#agent.nodeAddressFor(to.address), to, query, onAnswer, (frame) =>
      this.#network.toPod(frame, mark),
    );
    setTimeout(stop, FORWARD_TIMEOUT_MS).unref();
  }

  #forwardOnConnection(
    to: SocketAddress,
    mark: number,
    query: Uint8Array,
    onAnswer: (bytes: Uint8Array) => void,
    onFailure: () => void,
  ): void {
    const send = (frame: Uint8Array): void => this.#network.toPod(frame, mark);
    const end = this.#network.host.open(this.#agent.nodeAddressFor(to.address), to, send);
    const frames = new DnsFrames();
    const timer = setTimeout(() => end.reset(), FORWARD_TIMEOUT_MS).unref();
    end.events = {
      onData: (bytes) => {
        for (const answer of frames.feed(bytes)) {
          clearTimeout(timer);
          onAnswer(answer);
          end.finish();
        }
      },
      onEnd: () => end.finish(),
      onReset: onFailure,
      onTimeout: () => {},
      onDrain: () => {},
      onClosed: () => {},
    };
    end.write(dnsFrame(query));
    end.connect();
  }

  async #answer(
    exchange: DnsExchange,
    query: Uint8Array,
    bytes: Uint8Array,
    reply: (answer: Uint8Array) => void,
  ): Promise<void> {
    const { dns } = this.#agent;
    const verdict = dns.proxy.answer(exchange, query, bytes, this.#nowNs());
    if (verdict === undefined) return;
    const client = this.#agent.endpointOfId(exchange.endpointId);
    if (verdict.learned !== undefined && client !== undefined)
      await this.#agent.learnName(client, verdict.learned, this.#nowNs());
    reply(verdict.bytes);
  }
}
