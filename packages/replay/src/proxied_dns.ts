import type { Agent, Endpoint } from '@ciliate/agent';
import { identityMark, MARK_MAGIC_PROXY_EGRESS } from '@ciliate/bpf';
import type { DnsExchange } from '@ciliate/envoy';
import { flowFromDnsLog } from '@ciliate/hubble';
import { parseFrame, udpDatagram } from '@ciliate/packet';
import { type Flow, flowOf } from './flow.ts';
import type { Node } from './node.ts';

/** A question that the DNS proxy let through, on its way. */
interface Pending {
  exchange: DnsExchange;
  query: Uint8Array;
  /** Who got it, and the two ends as it sees them. */
  server: Endpoint;
  ends: Flow;
}

/** What became of a question that was redirected to the DNS proxy. `answer`: the proxy's own frame, as the client gets it. */
export type DnsFate =
  | { kind: 'forwarded'; pending: Pending }
  | { kind: 'answered'; frame: Uint8Array | undefined }
  | { kind: 'lost' };

const FIRST_EPHEMERAL_PORT = 32_768;

/**
 * Questions of one client that the datapath redirects to the DNS proxy. As in Cilium without transparent mode the proxy asks
 * the server from the node's address, with the client's identity in the mark; the client gets an answer when all that
 * follows from it is in force.
 */
export class ProxiedDns {
  readonly #agent: Agent;
  readonly #node: Node;
  readonly #client: Endpoint;

  constructor(agent: Agent, node: Node, client: Endpoint) {
    this.#agent = agent;
    this.#node = node;
    this.#client = client;
  }

  /** @param frame as it came to the proxy: with the server's own address */
  ask(frame: Uint8Array, timeNs: bigint): DnsFate {
    const parsed = parseFrame(frame);
    const { src, dst } = flowOf(parsed)!;
    const { proxy } = this.#agent.dns;
    const exchange = this.#agent.dns.exchange(this.#client, 'UDP', src.port, { ip: dst.address, port: dst.port });
    const verdict = this.#logging(() => proxy.question(exchange, parsed.payload, timeNs));
    if (verdict.kind === 'ignore') return { kind: 'lost' };
    if (verdict.kind === 'answer') return { kind: 'answered', frame: this.#toClient(exchange, verdict.bytes, timeNs) };
    const server = this.#agent.endpointOfAddress(dst.address);
    if (server === undefined) return { kind: 'lost' };
    const port = FIRST_EPHEMERAL_PORT + (src.port % FIRST_EPHEMERAL_PORT);
    const ends = { src: this.#agent.nodeAddressFor(dst.address), srcPort: port, dst: dst.address, dstPort: dst.port };
    const mark = identityMark(this.#client.identity, MARK_MAGIC_PROXY_EGRESS);
    const fate = this.#node.toPod(server, udpDatagram({ ...ends, payload: parsed.payload }), mark, timeNs);
    if (fate.kind !== 'delivered') return { kind: 'lost' };
    const pending = { exchange, query: parsed.payload, server, ends: flowOf(parseFrame(fate.frame))! };
    return { kind: 'forwarded', pending };
  }

  /** The server answers. @returns the frame that the client gets, if it gets any */
  async answer(
    { exchange, query, server, ends }: Pending,
    bytes: Uint8Array,
    timeNs: bigint,
  ): Promise<Uint8Array | undefined> {
    const back = { src: ends.dst.address, srcPort: ends.dst.port, dst: ends.src.address, dstPort: ends.src.port };
    const fate = this.#node.fromPod(server, udpDatagram({ ...back, payload: bytes }), timeNs);
    if (fate.kind !== 'stack') return undefined;
    const verdict = this.#logging(() => this.#agent.dns.proxy.answer(exchange, query, bytes, timeNs));
    if (verdict === undefined) return undefined;
    if (verdict.learned !== undefined) await this.#agent.learnName(this.#client, verdict.learned, timeNs);
    return this.#toClient(exchange, verdict.bytes, timeNs);
  }

  /** From the address that the client asked, as far as the proxy knows: the datapath translates it back to the service's. */
  #toClient({ source, destination }: DnsExchange, payload: Uint8Array, timeNs: bigint): Uint8Array | undefined {
    const ends = { src: destination.ip, srcPort: destination.port, dst: source.ip, dstPort: source.port };
    const fate = this.#node.toPod(this.#client, udpDatagram({ ...ends, payload }), MARK_MAGIC_PROXY_EGRESS, timeNs);
    return fate.kind === 'delivered' ? fate.frame : undefined;
  }

  /** Hubble hears what the proxy logs meanwhile. */
  #logging<T>(step: () => T): T {
    const { dns, resolver } = this.#agent;
    dns.onAccessLog = (record) => void this.#node.flows.push(flowFromDnsLog(record, resolver));
    return step();
  }
}
