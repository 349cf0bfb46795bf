import type { Agent, Endpoint } from '@ciliate/agent';
import {
  CTX_ACT_DROP,
  CTX_ACT_OK,
  CTX_ACT_REDIRECT,
  cilFromContainer,
  cilFromHost,
  cilFromNetdev,
  cilToContainer,
  cilToHost,
  cilToNetdev,
  Datapath,
  MARK_MAGIC_HOST_MASK,
  MARK_MAGIC_TO_PROXY,
  ntohs,
  ShardCollector,
  Skb,
  type Step,
} from '@ciliate/bpf';
import type { AccessLog } from '@ciliate/envoy';
import { type Flow, flowFromAccessLog, type LostEvents, parseEvent } from '@ciliate/hubble';
import { EventRing } from '@ciliate/maps';
import { isAnswer } from './answered.ts';
import { defaultRoute, destinationOf, forward } from './host_stack.ts';

/** Where the programs sent a packet, and what they did to it on the way. */
export type Fate = { frame: Uint8Array; steps: Step[] } & (
  | { kind: 'delivered'; to: Endpoint }
  /** To the proxy's listener on `port`, or for 0 to the socket that the packet answers. */
  | { kind: 'proxy'; port: number }
  | { kind: 'dropped'; code: number; text: string }
  /** `frame` is the answer that its sender gets, made by the program itself. */
  | { kind: 'answered' }
  /** To the host's stack, or by the tunnel to another node, and out of what is emulated. */
  | { kind: 'stack' }
  /** By the node's device to the network. */
  | { kind: 'network' }
);

const RING_BYTES = 64 * 1024;

const isProxyMark = (mark: number): boolean => (mark & MARK_MAGIC_HOST_MASK) === MARK_MAGIC_TO_PROXY;

/** One machine: its pods' interfaces with the programs on them, and what Hubble sees of them. One packet at a time. */
export class Node {
  readonly flows: Flow[] = [];
  /** What found no room in the ring. */
  readonly lost: LostEvents[] = [];
  readonly #agent: Agent;
  readonly #datapath: Datapath;
  readonly #skb: Skb;
  readonly #events: EventRing;
  readonly #collector: ShardCollector;
  /** How many of the lost events are in `lost`. */
  #counted = 0;

  /** @param ringBytes of the ring of events: what one packet writes beyond it is lost */
  constructor(agent: Agent, ringBytes = RING_BYTES) {
    this.#agent = agent;
    this.#events = EventRing.create(agent.memory, ringBytes);
    this.#datapath = new Datapath(agent.memory, {
      shard: 0,
      events: this.#events,
      seed: agent.seed,
      config: agent.config,
      fib: defaultRoute(agent.config.node.netdev.ifindex),
    });
    this.#skb = new Skb(agent.memory);
    this.#collector = new ShardCollector(agent.memory, 0);
  }

  /** The pod sends this frame. */
  fromPod(pod: Endpoint, frame: Uint8Array, timeNs: bigint): Fate {
    return this.#run(pod, frame, 0, timeNs, cilFromContainer);
  }

  /** The host's stack, or the proxy on it, sends this frame to the pod. @param mark as the sending socket sets it */
  toPod(pod: Endpoint, frame: Uint8Array, mark: number, timeNs: bigint): Fate {
    return this.#run(pod, frame, mark, timeNs, cilToContainer);
  }

  /** The network sends this frame: what its device's program leaves to the stack is routed to the pod that has the address. */
  fromWorld(frame: Uint8Array, timeNs: bigint): Fate {
    const { netdev, ciliumHostIfindex } = this.#datapath.config.node;
    const skb = this.#skb;
    const steps = this.#begin(frame, netdev.ifindex, 0, timeNs);
    let action = cilFromNetdev(this.#datapath, skb);
    const to = destinationOf(skb);
    const isForPod = to !== undefined && this.#agent.endpointOfAddress(to) !== undefined;
    if (action === CTX_ACT_OK && !isProxyMark(skb.mark) && isForPod && forward(skb)) {
      skb.ifindex = ciliumHostIfindex;
      action = cilFromHost(this.#datapath, skb);
    }
    return this.#end(action, netdev.ifindex, undefined, steps, timeNs);
  }

  /** The pod sends this frame, which its program or the stack sends on to the network. */
  toWorld(pod: Endpoint, frame: Uint8Array, timeNs: bigint): Fate {
    const { netdev } = this.#datapath.config.node;
    const skb = this.#skb;
    const steps = this.#begin(frame, pod.ifindex, 0, timeNs);
    let action = cilFromContainer(this.#datapath, this.#datapath.program(pod.id)!, skb);
    const isSent = action === CTX_ACT_REDIRECT && skb.redirectIfindex === netdev.ifindex;
    if (isSent || (action === CTX_ACT_OK && !isProxyMark(skb.mark) && forward(skb))) {
      skb.ifindex = netdev.ifindex;
      action = cilToNetdev(this.#datapath, skb);
      if (action === CTX_ACT_OK) return { ...this.#after(steps, timeNs), kind: 'network' };
    }
    return this.#end(action, pod.ifindex, undefined, steps, timeNs);
  }

  /** Endpoints came or went: their programs are loaded. */
  reload(): void {
    this.#datapath.reload();
  }

  /** Hubble hears of a request that the proxy has judged. */
  log(record: AccessLog): void {
    this.flows.push(flowFromAccessLog(record, this.#agent.resolver));
  }

  /** Gives what this node took back to the memory; the agent's maps stay. */
  close(): void {
    this.#events.destroy();
    this.#datapath.destroy();
    this.#skb.destroy();
  }

  #observe(timeNs: bigint): void {
    this.#events.drain((event) => this.flows.push(parseEvent(event, this.#agent.resolver, timeNs)));
    const numEventsLost = (this.#events.lost - this.#counted) >>> 0; // the count goes round
    if (numEventsLost === 0) return;
    this.#counted = this.#events.lost;
    this.lost.push({ timeNs, source: 'PERF_EVENT_RING_BUFFER', cpu: 0, numEventsLost });
  }

  #run(pod: Endpoint, frame: Uint8Array, mark: number, timeNs: bigint, program: typeof cilFromContainer): Fate {
    const steps = this.#begin(frame, pod.ifindex, mark, timeNs);
    const action = this.#toStack(program(this.#datapath, this.#datapath.program(pod.id)!, this.#skb));
    return this.#end(action, pod.ifindex, program === cilToContainer ? pod : undefined, steps, timeNs);
  }

  /** @returns where the steps of the programs go */
  #begin(frame: Uint8Array, ifindex: number, mark: number, timeNs: bigint): Step[] {
    const steps: Step[] = [];
    const { memory } = this.#agent;
    memory.nowNs = timeNs;
    if (memory.nowSeconds >= this.#collector.nextSeconds) this.#collector.run(memory.nowSeconds);
    this.#skb.load(frame, ifindex, mark);
    this.#datapath.steps = steps;
    return steps;
  }

  #after(steps: Step[], timeNs: bigint): { frame: Uint8Array; steps: Step[] } {
    this.#observe(timeNs);
    return { frame: this.#skb.frame(), steps };
  }

  /** @param passesTo who has it if the program lets it pass; undefined: the stack */
  #end(action: number, cameBy: number, passesTo: Endpoint | undefined, steps: Step[], timeNs: bigint): Fate {
    const after = this.#after(steps, timeNs);
    if (action === CTX_ACT_DROP) {
      const drop = steps.findLast((step) => step.kind === 'drop')!;
      return { ...after, kind: 'dropped', code: drop.code, text: drop.text };
    }
    // On its way to the proxy it may be sent through cilium_net first.
    if (isProxyMark(this.#skb.mark)) return { ...after, kind: 'proxy', port: ntohs(this.#skb.mark >>> 16) };
    if (
      action === CTX_ACT_REDIRECT &&
      this.#skb.redirectIfindex === cameBy &&
      isAnswer(after.frame, 0, after.frame.length)
    )
      return { ...after, kind: 'answered' };
    const to = action === CTX_ACT_REDIRECT ? this.#agent.endpointOfInterface(this.#skb.redirectIfindex) : undefined;
    if (to !== undefined) return { ...after, kind: 'delivered', to };
    if (passesTo !== undefined) return { ...after, kind: 'delivered', to: passesTo };
    return { ...after, kind: 'stack' };
  }

  /** With the host firewall, what goes to the node's own addresses goes through cilium_net, where its policy is asked. */
  #toStack(action: number): number {
    const { ciliumNetIfindex } = this.#datapath.config.node;
    if (action !== CTX_ACT_REDIRECT || this.#skb.redirectIfindex !== ciliumNetIfindex) return action;
    this.#skb.ifindex = ciliumNetIfindex;
    return cilToHost(this.#datapath, this.#skb);
  }
}
