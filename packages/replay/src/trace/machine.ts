import type { Agent, Endpoint } from '@ciliate/agent';
import {
  CTX_ACT_DROP,
  CTX_ACT_OK,
  CTX_ACT_REDIRECT,
  cilFromContainer,
  cilFromHost,
  cilFromNetdev,
  cilToHost,
  cilToNetdev,
  Datapath,
  DEFAULT_NODE,
  DebugNotifications,
  MARK_MAGIC_HOST_MASK,
  MARK_MAGIC_TO_PROXY,
  type MonitorAggregation,
  ntohs,
  Skb,
} from '@ciliate/bpf';
import { EventRing } from '@ciliate/maps';
import { isAnswer } from '../answered.ts';
import { defaultRoute, destinationOf, forward } from '../host_stack.ts';
import { type Recorded, StepRecorder } from './recorder.ts';

/** Where a packet ended. */
export type End =
  | { kind: 'delivered'; to: Endpoint }
  /** `port` 0: to the socket that the packet answers. */
  | { kind: 'proxy'; port: number }
  /** Code and text only if its steps were recorded. */
  | { kind: 'dropped'; code: number | undefined; text: string | undefined }
  | { kind: 'network'; ifindex: number }
  /** To a socket of the host, or to whatever its stack makes of it. */
  | { kind: 'host' }
  /** The program made it the answer to its sender. */
  | { kind: 'answered' }
  /** The host's stack forwards no packet that has one hop to live. */
  | { kind: 'expired' };

export interface MachineOptions {
  aggregation: MonitorAggregation;
  /** As if the programs were compiled with DEBUG. */
  debug: boolean;
}

const RING_BYTES = 256 * 1024;

/**
 * One node for packets as they stand: the programs at its interfaces, and of the host's stack between them as much as
 * forwards a packet from one device to the next.
 */
export class TraceMachine {
  readonly #agent: Agent;
  readonly #events: EventRing;
  readonly #datapath: Datapath;
  readonly #skb: Skb;
  readonly #debug: boolean;

  constructor(agent: Agent, { aggregation, debug }: MachineOptions) {
    this.#agent = agent;
    this.#debug = debug;
    this.#events = EventRing.create(agent.memory, RING_BYTES);
    const config = { ...agent.config, monitorAggregation: aggregation };
    const fib = defaultRoute(config.node.netdev.ifindex);
    this.#datapath = new Datapath(agent.memory, { shard: 0, events: this.#events, seed: agent.seed, config, fib });
    this.#skb = new Skb(agent.memory);
  }

  /** Sends a packet whose steps nobody wants. @param sender undefined: it comes in from the network */
  send(sender: Endpoint | undefined, frame: Uint8Array, timeNs: bigint): void {
    this.#load(sender, frame, timeNs);
    this.#datapath.steps = null;
    this.#run(sender, undefined);
    this.#events.drain(() => {});
  }

  /** Sends a packet and tells all that happens to it. */
  trace(sender: Endpoint | undefined, frame: Uint8Array, timeNs: bigint): { recorded: Recorded[]; end: End } {
    this.#load(sender, frame, timeNs);
    const recorder = new StepRecorder(this.#skb, this.#events);
    const end = this.#run(sender, recorder);
    recorder.notice();
    this.#datapath.steps = null;
    return { recorded: recorder.recorded, end };
  }

  /** Gives what it took back to the memory; the agent's maps stay. */
  close(): void {
    this.#events.destroy();
    this.#datapath.destroy();
    this.#skb.destroy();
  }

  #load(sender: Endpoint | undefined, frame: Uint8Array, timeNs: bigint): void {
    this.#agent.memory.nowNs = timeNs;
    this.#skb.load(frame, sender?.ifindex ?? DEFAULT_NODE.netdev.ifindex);
  }

  #enter(recorder: StepRecorder | undefined, name: string, endpoint: number): void {
    if (recorder === undefined) return;
    recorder.enter(name, endpoint);
    if (!this.#debug) {
      this.#datapath.steps = recorder;
      return;
    }
    const notifications = new DebugNotifications(this.#datapath, this.#skb, recorder);
    notifications.source = endpoint;
    this.#datapath.steps = notifications;
  }

  #run(sender: Endpoint | undefined, recorder: StepRecorder | undefined): End {
    if (sender === undefined) {
      this.#enter(recorder, 'cil_from_netdev', 0);
      return this.#fromNetdev(cilFromNetdev(this.#datapath, this.#skb), recorder);
    }
    this.#enter(recorder, 'cil_from_container', sender.id);
    const action = cilFromContainer(this.#datapath, this.#datapath.program(sender.id)!, this.#skb);
    if (action === CTX_ACT_REDIRECT && this.#skb.redirectIfindex === DEFAULT_NODE.ciliumNetIfindex)
      return this.#toHost(recorder);
    const end = this.#endOf(action, recorder);
    if (end !== undefined) return end;
    const to = destinationOf(this.#skb);
    if (to === undefined || this.#agent.isHostAddress(to)) return { kind: 'host' };
    if (!this.#forward(recorder)) return { kind: 'expired' };
    const { ifindex } = DEFAULT_NODE.netdev;
    this.#skb.ifindex = ifindex;
    this.#enter(recorder, 'cil_to_netdev', 0);
    return this.#endOf(cilToNetdev(this.#datapath, this.#skb), recorder) ?? { kind: 'network', ifindex };
  }

  /** Out of cilium_net to the node itself, whose policy is asked there. */
  #toHost(recorder: StepRecorder | undefined): End {
    this.#skb.ifindex = DEFAULT_NODE.ciliumNetIfindex;
    this.#enter(recorder, 'cil_to_host', this.#agent.hostEndpoint.id);
    return this.#endOf(cilToHost(this.#datapath, this.#skb), recorder) ?? { kind: 'host' };
  }

  #fromNetdev(action: number, recorder: StepRecorder | undefined): End {
    const end = this.#endOf(action, recorder);
    if (end !== undefined) return end;
    const to = destinationOf(this.#skb);
    if (to === undefined || this.#agent.endpointOfAddress(to) === undefined) return { kind: 'host' };
    if (!this.#forward(recorder)) return { kind: 'expired' };
    this.#skb.ifindex = DEFAULT_NODE.ciliumHostIfindex;
    this.#enter(recorder, 'cil_from_host', 0);
    return this.#endOf(cilFromHost(this.#datapath, this.#skb), recorder) ?? { kind: 'host' };
  }

  /** Undefined: the program left the packet to the host's stack. */
  #endOf(action: number, recorder: StepRecorder | undefined): End | undefined {
    const { mark, redirectIfindex } = this.#skb;
    if (action === CTX_ACT_DROP) return { kind: 'dropped', code: recorder?.drop?.code, text: recorder?.drop?.text };
    if ((mark & MARK_MAGIC_HOST_MASK) === MARK_MAGIC_TO_PROXY) return { kind: 'proxy', port: ntohs(mark >>> 16) };
    if (action === CTX_ACT_REDIRECT) {
      const { data, len } = this.#skb;
      if (redirectIfindex === this.#skb.ifindex && isAnswer(this.#agent.memory.u8, data, len))
        return { kind: 'answered' };
      const to = this.#agent.endpointOfInterface(redirectIfindex);
      return to === undefined ? { kind: 'network', ifindex: redirectIfindex } : { kind: 'delivered', to };
    }
    return action === CTX_ACT_OK ? undefined : { kind: 'host' };
  }

  #forward(recorder: StepRecorder | undefined): boolean {
    recorder?.enter('the stack of the host', 0);
    return forward(this.#skb);
  }
}
