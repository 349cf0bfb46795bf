import { type Agent, CT_SHARDS } from '@ciliate/agent';
import { Skb, type Step } from '@ciliate/bpf';
import { EventRing } from '@ciliate/maps';
import type { IpAddress } from '@ciliate/packet';
import { defaultRoute } from '../host_stack.ts';
import { flushConnections } from '../packets/flush.ts';
import { NodePath, ShardDatapath } from '../packets/node_path.ts';
import {
  FATE_TO_ENDPOINT,
  FATE_TO_NETWORK,
  FATE_TO_PROXY,
  HOOK_FROM_CONTAINER,
  HOOK_FROM_NETDEV,
} from '../packets/protocol.ts';
import type { Station } from './cast.ts';
import { MAX_SIZE } from './options.ts';

/** What the datapath does with the first packet of a connection. */
export interface Choice {
  /** Who answers: the pod or (endpoint 0) the world; else the proxy does, or nobody because the packet was dropped. */
  answer: 'server' | 'proxy' | 'nobody';
  endpoint: number;
  /** The backend that a service's packet was sent to; host order. */
  backend: { address: IpAddress; port: number } | undefined;
}

const RING_BYTES = 64;
const MAX_FRAME = 14 + MAX_SIZE;

/**
 * Runs the first packet of each connection through the programs themselves, on the agent's own maps: so the answers in the
 * trace come from the backend that a replay with the same seed will choose, and only where policy lets the packet pass.
 */
export class Chooser {
  readonly #agent: Agent;
  readonly #datapath: ShardDatapath;
  readonly #skb: Skb;
  readonly #path: NodePath;
  readonly #frame: number;
  readonly #steps: Step[] = [];

  constructor(agent: Agent) {
    const { memory, seed, config } = agent;
    this.#agent = agent;
    flushConnections(memory, CT_SHARDS);
    const events = EventRing.create(memory, RING_BYTES);
    const fib = defaultRoute(config.node.netdev.ifindex);
    this.#datapath = new ShardDatapath(memory, { shard: 0, seed, config, events, fib });
    this.#datapath.steps = this.#steps;
    this.#skb = new Skb(memory);
    this.#path = new NodePath(this.#skb);
    this.#frame = memory.alloc(MAX_FRAME);
  }

  /** @param frame its first `length` bytes, at most 14 + MAX_SIZE */
  choose(from: Station, frame: Uint8Array, length: number, seconds: number): Choice {
    this.#steps.length = 0;
    this.#datapath.seconds = seconds;
    this.#agent.memory.u8.set(frame.subarray(0, length), this.#frame);
    const hook = from.endpoint === 0 ? HOOK_FROM_NETDEV : HOOK_FROM_CONTAINER;
    this.#path.run(this.#datapath, hook, from.endpoint, this.#frame, length);
    const { fate, to } = this.#path;
    const service = this.#steps.find((step) => step.kind === 'service');
    const backend = service && { address: service.backend.address, port: service.backend.port };
    if (fate === FATE_TO_ENDPOINT)
      return { answer: 'server', endpoint: this.#agent.endpointOfInterface(to)?.id ?? 0, backend };
    if (fate === FATE_TO_NETWORK) return { answer: 'server', endpoint: 0, backend };
    return { answer: fate === FATE_TO_PROXY ? 'proxy' : 'nobody', endpoint: 0, backend };
  }

  close(): void {
    this.#agent.memory.free(this.#frame, MAX_FRAME);
    this.#datapath.events.destroy();
    this.#datapath.destroy();
    this.#path.destroy();
    this.#skb.destroy();
    flushConnections(this.#agent.memory, CT_SHARDS);
  }
}
