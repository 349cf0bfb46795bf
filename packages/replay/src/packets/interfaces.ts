import type { Agent, Endpoint } from '@ciliate/agent';
import { type CaptureInterface, ETH_P_IP } from '@ciliate/packet';
import { NODE, type Places } from './places.ts';
import { HOOK_FROM_CONTAINER, HOOK_FROM_HOST, HOOK_FROM_NETDEV } from './protocol.ts';

/** Not to be judged: what a pod received was judged where it was sent. */
export const RECEIVED = -1;

/**
 * Says at which hook a packet enters this node. On an interface named after a pod: `from-container` of that pod, but for
 * what the pod received. On any other, the node's device among them, the source tells: a pod of this node
 * (`from-container`), the node itself (`from-host`), anybody else (`from-netdev`).
 */
export class Interfaces {
  /** Endpoint id; valid after `hookOf` answered HOOK_FROM_CONTAINER. */
  endpoint = 0;
  readonly #agent: Agent;
  readonly #places: Places;
  readonly #declared: readonly CaptureInterface[];
  readonly #pods: (Endpoint | undefined)[] = [];

  /** @param declared grows while the capture is read */
  constructor(agent: Agent, places: Places, declared: readonly CaptureInterface[]) {
    this.#agent = agent;
    this.#places = places;
    this.#declared = declared;
  }

  /** @returns HOOK_*, or RECEIVED. Allocates nothing but for an interface's first packet. */
  hookOf(id: number, u8: Uint8Array, at: number, length: number): number {
    while (this.#pods.length <= id) this.#pods.push(this.#podOf(this.#pods.length));
    const pod = this.#pods[id];
    const type = length >= 34 ? (u8[at + 12]! << 8) | u8[at + 13]! : 0;
    if (pod !== undefined) {
      this.endpoint = pod.id;
      if (type !== ETH_P_IP) return HOOK_FROM_CONTAINER;
      const own = pod.address | 0;
      return word(u8, at + 30) === own && word(u8, at + 26) !== own ? RECEIVED : HOOK_FROM_CONTAINER;
    }
    if (type !== ETH_P_IP) return HOOK_FROM_NETDEV;
    const source = word(u8, at + 26);
    this.endpoint = this.#places.endpointOf(source, 0, 0, 0);
    if (this.endpoint !== 0) return HOOK_FROM_CONTAINER;
    return this.#places.kindOf(source, 0, 0, 0) === NODE ? HOOK_FROM_HOST : HOOK_FROM_NETDEV;
  }

  #podOf(id: number): Endpoint | undefined {
    const name = this.#declared[id]?.name;
    return name === undefined ? undefined : this.#agent.endpointOfPod(name);
  }
}

const word = (u8: Uint8Array, at: number): number =>
  (u8[at]! << 24) | (u8[at + 1]! << 16) | (u8[at + 2]! << 8) | u8[at + 3]!;
