import { type CaptureInterface, ETH_P_IP, ETH_P_IPV6, IPV4, IPV6 } from '@ciliate/packet';
import { NODE, type Places } from './places.ts';
import { HOOK_FROM_CONTAINER, HOOK_FROM_HOST, HOOK_FROM_NETDEV, HOOK_FROM_OVERLAY } from './protocol.ts';

const IP = 14;
/** Not to be judged: what a pod received was judged where it was sent. */
export const RECEIVED = -1;

/** A pod of this node, and its addresses as words (i32); none in a family that it has no address of. */
export interface PodInterface {
  /** `namespace/name` */
  readonly name: string;
  readonly endpoint: number;
  readonly ipv4: Int32Array | undefined;
  readonly ipv6: Int32Array | undefined;
}

/**
 * Says at which hook a packet enters this node. On an interface named after a pod: `from-container` of that pod, but for
 * what the pod received. On any other, the node's device among them, the source tells: a pod of this node
 * (`from-container`), the node itself (`from-host`), with tunnels a pod of another node (`from-overlay`), anybody else
 * (`from-netdev`).
 */
export class Interfaces {
  /** After `hookOf`, for HOOK_FROM_CONTAINER the endpoint's id, for HOOK_FROM_OVERLAY the sender's identity. */
  endpoint = 0;
  readonly #byName: ReadonlyMap<string, PodInterface>;
  readonly #places: Places;
  readonly #declared: readonly CaptureInterface[];
  readonly #tunnels: boolean;
  readonly #pods: (PodInterface | undefined)[] = [];

  /**
   * @param declared grows while the capture is read
   * @param tunnels what pods of other nodes send comes by the tunnel
   */
  constructor(pods: readonly PodInterface[], places: Places, declared: readonly CaptureInterface[], tunnels: boolean) {
    this.#tunnels = tunnels;
    this.#byName = new Map(pods.map((pod) => [pod.name, pod]));
    this.#places = places;
    this.#declared = declared;
  }

  /** @returns HOOK_*, or RECEIVED. Allocates nothing but for an interface's first packet. */
  hookOf(id: number, u8: Uint8Array, at: number, length: number): number {
    while (this.#pods.length <= id) this.#pods.push(this.#podOf(this.#pods.length));
    const pod = this.#pods[id];
    const type = length >= IP + IPV4.size ? (u8[at + 12]! << 8) | u8[at + 13]! : 0;
    const isV6 = type === ETH_P_IPV6 && length >= IP + IPV6.size;
    const source = at + IP + (isV6 ? IPV6.src : IPV4.src);
    if (pod !== undefined) {
      this.endpoint = pod.endpoint;
      const own = isV6 ? pod.ipv6 : type === ETH_P_IP ? pod.ipv4 : undefined;
      if (own === undefined) return HOOK_FROM_CONTAINER;
      return isAt(u8, source + 4 * own.length, own) && !isAt(u8, source, own) ? RECEIVED : HOOK_FROM_CONTAINER;
    }
    if (!isV6 && type !== ETH_P_IP) return HOOK_FROM_NETDEV;
    const a = word(u8, source);
    const b = isV6 ? word(u8, source + 4) : 0;
    const c = isV6 ? word(u8, source + 8) : 0;
    const d = isV6 ? word(u8, source + 12) : 0;
    this.endpoint = this.#places.endpointOf(a, b, c, d);
    if (this.endpoint !== 0) return HOOK_FROM_CONTAINER;
    if (this.#places.kindOf(a, b, c, d) === NODE) return HOOK_FROM_HOST;
    this.endpoint = this.#tunnels ? this.#places.identityElsewhere(a, b, c, d) : 0;
    return this.endpoint === 0 ? HOOK_FROM_NETDEV : HOOK_FROM_OVERLAY;
  }

  #podOf(id: number): PodInterface | undefined {
    const name = this.#declared[id]?.name ?? '';
    return this.#byName.get(name.includes('/') ? name : `default/${name}`);
  }
}

/** Does this address lie there? */
function isAt(u8: Uint8Array, at: number, address: Int32Array): boolean {
  for (let i = 0; i < address.length; i++) if (word(u8, at + 4 * i) !== address[i]) return false;
  return true;
}

const word = (u8: Uint8Array, at: number): number =>
  (u8[at]! << 24) | (u8[at + 1]! << 16) | (u8[at + 2]! << 8) | u8[at + 3]!;
