import type { Agent, Endpoint } from '@ciliate/agent';
import { MARK_MAGIC_PROXY_EGRESS, type Step } from '@ciliate/bpf';
import type { AccessLog } from '@ciliate/envoy';
import type { Flow } from '@ciliate/hubble';
import { parseFrame, TCP_ACK, TCP_RST, TCP_SYN } from '@ciliate/packet';
import { Node, type PacketFate } from '@ciliate/replay';
import { resetFor, Stack } from './stack.ts';

/** A packet that policy hands to the proxy, and by whose order. */
export interface Redirected {
  /** undefined: a proxy, on its way to a server whose own policy redirects. */
  readonly client: Endpoint | undefined;
  /** As it came to the proxy: with the server's own address. */
  readonly frame: Uint8Array;
  /** The endpoint whose policy it is, and which of its directions. */
  readonly endpointId: number;
  readonly ingress: boolean;
  readonly remoteIdentity: number;
}

export interface NetworkOptions {
  readonly agent: Agent;
  /** Hears everything that Hubble sees. */
  readonly onFlow: (flow: Flow) => void;
  /** Nanoseconds since 1970, never going back. */
  readonly nowNs: () => bigint;
}

type PolicyStep = Extract<Step, { kind: 'policy' }>;

/** What it takes to carry one packet. */
type Job = () => void;

/**
 * The emulated wires of one node: the sockets of each pod, of the node itself with its proxies, and of the world outside,
 * joined by the datapath's programs. Packets are carried one after the other, in the order in which they are sent.
 */
export class Network {
  /** Sockets of the node: the proxies'. */
  readonly host: Stack;
  /** Sockets of everybody outside of the cluster. */
  readonly world: Stack;
  /** Takes connections that policy redirects. @param port of the proxy's listener */
  onRedirectedConnection: (redirected: Redirected, port: number) => void = () => {};
  onRedirectedDatagram: (redirected: Redirected) => void = () => {};
  readonly #options: NetworkOptions;
  readonly #node: Node;
  readonly #pods = new Map<Endpoint, Stack>();
  readonly #queue: Job[] = [];
  #isCarrying = false;
  #isn = 0;

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.#node = new Node(options.agent);
    this.host = new Stack((frame) => this.toPod(frame, 0), this.#nextIsn);
    this.world = new Stack((frame) => this.toPod(frame, 0), this.#nextIsn);
  }

  /** The sockets of a pod; made when first asked for. */
  stackOf(pod: Endpoint): Stack {
    let stack = this.#pods.get(pod);
    if (stack === undefined) {
      stack = new Stack((frame) => this.fromPod(pod, frame), this.#nextIsn);
      this.#pods.set(pod, stack);
    }
    return stack;
  }

  /** Endpoints came or went. */
  reload(): void {
    const { agent } = this.#options;
    for (const [pod, stack] of this.#pods) {
      if (agent.endpointOfId(pod.id) === pod) continue;
      stack.destroy();
      this.#pods.delete(pod);
    }
    this.#node.reload();
  }

  fromPod(pod: Endpoint, frame: Uint8Array): void {
    this.#carry(() => {
      if (this.#options.agent.endpointOfId(pod.id) !== pod) return;
      this.#arrive(pod, this.#node.fromPod(pod, frame, this.#options.nowNs()));
    });
  }

  /** From the node, or through it from outside. @param mark as the sending socket sets it */
  toPod(frame: Uint8Array, mark: number): void {
    this.#carry(() => {
      const pod = this.#options.agent.endpointOfAddress(parseFrame(frame).ip!.dst);
      if (pod === undefined) {
        this.#beyond(frame);
        return;
      }
      this.#arrive(undefined, this.#node.toPod(pod, frame, mark, this.#options.nowNs()));
    });
  }

  /** Hubble hears of it. */
  tell(flow: Flow): void {
    this.#options.onFlow(flow);
  }

  /** Hubble hears of what the L7 proxy did. */
  log(record: AccessLog): void {
    this.#node.log(record);
    this.#tellFlows();
  }

  close(): void {
    for (const stack of [...this.#pods.values(), this.host, this.world]) stack.destroy();
    this.#queue.length = 0;
    this.#node.close();
  }

  #arrive(from: Endpoint | undefined, fate: PacketFate): void {
    this.#tellFlows();
    switch (fate.kind) {
      case 'dropped':
        return;
      case 'delivered':
        this.stackOf(fate.to).receive(fate.frame);
        return;
      case 'proxy':
        this.#toProxy(from, fate);
        return;
      case 'stack':
        this.#beyond(fate.frame);
    }
  }

  /** To the node itself, as what one proxy says to another, or out of the cluster. */
  #beyond(frame: Uint8Array): void {
    const isForNode = this.#options.agent.isHostAddress(parseFrame(frame).ip!.dst);
    (isForNode ? this.host : this.world).receive(frame);
  }

  #toProxy(from: Endpoint | undefined, { frame, port, steps }: Extract<PacketFate, { kind: 'proxy' }>): void {
    const parsed = parseFrame(frame);
    if (this.host.has(parsed)) {
      this.host.receive(frame);
      return;
    }
    const { tcp, ip, payload } = parsed;
    const step = steps.findLast((one) => one.kind === 'policy' && one.proxyPort > 0);
    const opens = tcp === undefined || (tcp.flags & (TCP_SYN | TCP_ACK)) === TCP_SYN;
    if (opens && port > 0 && step?.kind === 'policy') {
      const redirected = redirectedBy(step, from, frame);
      if (tcp === undefined) this.onRedirectedDatagram(redirected);
      else this.onRedirectedConnection(redirected, port);
      return;
    }
    // A connection from before the redirect: the node has no socket for it.
    if (tcp === undefined || (tcp.flags & TCP_RST) !== 0) return;
    const local = { address: ip!.dst, port: tcp.dstPort };
    this.toPod(resetFor(local, { address: ip!.src, port: tcp.srcPort }, tcp, payload.length), MARK_MAGIC_PROXY_EGRESS);
  }

  #tellFlows(): void {
    for (const flow of this.#node.flows.splice(0)) this.#options.onFlow(flow);
  }

  /** Not at once: who sends is done with what he does when the answer comes. */
  #carry(job: Job): void {
    this.#queue.push(job);
    if (this.#isCarrying) return;
    this.#isCarrying = true;
    queueMicrotask(() => {
      try {
        for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) next();
      } finally {
        this.#isCarrying = false;
      }
    });
  }

  readonly #nextIsn = (): number => Math.imul(++this.#isn ^ this.#options.agent.seed, 0x9e3779b1) >>> 0;
}

const redirectedBy = (step: PolicyStep, client: Endpoint | undefined, frame: Uint8Array): Redirected => ({
  client,
  frame,
  endpointId: step.endpoint,
  ingress: step.direction === 'ingress',
  remoteIdentity: step.remoteIdentity,
});
