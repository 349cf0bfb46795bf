import {
  CTX_ACT_DROP,
  CTX_ACT_REDIRECT,
  cilFromContainer,
  cilFromHost,
  cilFromNetdev,
  cilFromOverlay,
  cilToHost,
  cilToNetdev,
  Datapath,
  MARK_MAGIC_HOST_MASK,
  MARK_MAGIC_TO_PROXY,
  ntohs,
  type Skb,
} from '@ciliate/bpf';
import { type Address, ENDPOINT_F_HOST, ENDPOINT_KEY, endpointFlags, type Memory, NULL } from '@ciliate/maps';
import { ETH_P_IP, ETH_P_IPV6 } from '@ciliate/packet';
import { isAnswer } from '../answered.ts';
import {
  FATE_ANSWERED,
  FATE_DROPPED,
  FATE_TO_ENDPOINT,
  FATE_TO_NETWORK,
  FATE_TO_OVERLAY,
  FATE_TO_PROXY,
  FATE_TO_STACK,
  HOOK_FROM_CONTAINER,
  HOOK_FROM_HOST,
  HOOK_FROM_OVERLAY,
} from './protocol.ts';

/** The mark of what the node's own processes send (MARK_MAGIC_HOST). */
const MARK_FROM_HOST = 0xc00;
const EVENT_DROP = 1;
/** In `struct drop_notify`. */
const EXT_ERROR = 31;
const IP_AT = 14;

/** The datapath of one shard, with the time of its own packet: the clock word of the memory is one for all threads. */
export class ShardDatapath extends Datapath {
  seconds = 0;

  override nowSeconds(): number {
    return this.seconds;
  }
}

/** What one packet meets on this node: the program of its hook, and what the host's stack would run after it. */
export class NodePath {
  /** FATE_*; then the drop code and extended error of a dropped packet, else 0. */
  fate = FATE_DROPPED;
  dropCode = 0;
  extError = 0;
  /** Interface index, proxy port (host order) or VNI that it went to, by its fate. */
  to = 0;
  readonly #memory: Memory;
  readonly #skb: Skb;
  readonly #key: Address;

  constructor(skb: Skb) {
    this.#memory = skb.memory;
    this.#skb = skb;
    this.#key = skb.memory.alloc(ENDPOINT_KEY.size + 4);
  }

  destroy(): void {
    this.#memory.free(this.#key, ENDPOINT_KEY.size + 4);
  }

  /**
   * Runs the frame at `at`. Allocates nothing.
   * @param endpoint of HOOK_FROM_CONTAINER the id, of HOOK_FROM_OVERLAY the sender's identity
   */
  run(dp: ShardDatapath, hook: number, endpoint: number, at: Address, length: number): void {
    const skb = this.#skb;
    const { node } = dp.config;
    if (hook === HOOK_FROM_CONTAINER) {
      const program = dp.program(endpoint)!;
      skb.loadFrom(at, length, program.ifindex);
      this.#afterPod(dp, cilFromContainer(dp, program, skb));
    } else if (hook === HOOK_FROM_HOST) {
      skb.loadFrom(at, length, node.ciliumHostIfindex);
      skb.ingressIfindex = 0;
      skb.mark = MARK_FROM_HOST;
      // The stack has a route to pods by cilium_host, and with tunnels to those of other nodes too. Without the host
      // firewall, what the node sends elsewhere is not judged.
      if (dp.config.hostFirewall && !dp.config.tunnelMode && this.#leavesNode(dp)) this.#toNetdev(dp);
      else this.#end(dp, cilFromHost(dp, skb));
    } else if (hook === HOOK_FROM_OVERLAY) {
      skb.loadFrom(at, length, node.overlay.ifindex);
      skb.tunnelIdIn = endpoint;
      this.#fromOutside(dp, cilFromOverlay(dp, skb));
    } else {
      skb.loadFrom(at, length, node.netdev.ifindex);
      this.#fromOutside(dp, cilFromNetdev(dp, skb));
    }
  }

  /** The stack sends on what a pod sent to another machine. */
  #afterPod(dp: ShardDatapath, action: number): void {
    this.#end(dp, action);
    if (this.fate !== FATE_TO_STACK || action === CTX_ACT_REDIRECT) return;
    if (this.#leavesNode(dp) && this.#forward()) this.#toNetdev(dp);
  }

  /** The stack routes to a pod what came from the network or the tunnel for it, through cilium_host. */
  #fromOutside(dp: ShardDatapath, action: number): void {
    this.#end(dp, action);
    if (this.fate !== FATE_TO_STACK || action === CTX_ACT_REDIRECT) return;
    const pod = this.#lookupDestination(dp);
    if (pod === NULL || (endpointFlags(this.#memory, pod) & ENDPOINT_F_HOST) !== 0 || !this.#forward()) return;
    this.#skb.ifindex = dp.config.node.ciliumHostIfindex;
    this.#skb.ingressIfindex = 0;
    this.#end(dp, cilFromHost(dp, this.#skb));
  }

  /** bpf_redirect to the node's device, or the stack's route there: its program for what leaves runs. */
  #toNetdev(dp: ShardDatapath): void {
    const skb = this.#skb;
    skb.ifindex = dp.config.node.netdev.ifindex;
    skb.ingressIfindex = 0;
    if (cilToNetdev(dp, skb) === CTX_ACT_DROP) {
      this.#dropped(dp);
      return;
    }
    this.fate = FATE_TO_NETWORK;
    this.to = dp.config.node.netdev.ifindex;
  }

  #end(dp: ShardDatapath, action: number): void {
    const skb = this.#skb;
    if (action === CTX_ACT_DROP) {
      this.#dropped(dp);
      return;
    }
    this.dropCode = 0;
    this.extError = 0;
    this.to = 0;
    if ((skb.mark & MARK_MAGIC_HOST_MASK) === MARK_MAGIC_TO_PROXY) {
      this.fate = FATE_TO_PROXY;
      this.to = ntohs(skb.mark >>> 16);
    } else if (action !== CTX_ACT_REDIRECT) this.fate = FATE_TO_STACK;
    else if (skb.tunnelId !== undefined) {
      this.fate = FATE_TO_OVERLAY;
      this.to = skb.tunnelId;
    } else this.#redirected(dp, skb.redirectIfindex);
  }

  #redirected(dp: ShardDatapath, ifindex: number): void {
    const { netdev, ciliumHostIfindex, ciliumNetIfindex } = dp.config.node;
    this.to = ifindex;
    const { ingressIfindex, data, len } = this.#skb;
    if (ifindex === ingressIfindex) this.fate = isAnswer(this.#memory.u8, data, len) ? FATE_ANSWERED : FATE_TO_ENDPOINT;
    else if (ifindex === netdev.ifindex) this.#toNetdev(dp);
    else if (ifindex === ciliumHostIfindex || ifindex === ciliumNetIfindex) this.#toHost(dp, ifindex);
    else this.fate = FATE_TO_ENDPOINT;
  }

  /** Out of cilium_host or cilium_net, to the stack: there the policy of the node is asked. */
  #toHost(dp: ShardDatapath, ifindex: number): void {
    this.#skb.ifindex = ifindex;
    if (dp.config.hostFirewall && cilToHost(dp, this.#skb) === CTX_ACT_DROP) this.#dropped(dp);
    else this.fate = FATE_TO_STACK;
  }

  /** The program has just built its drop notification: the code is in there. */
  #dropped(dp: ShardDatapath): void {
    const { u8 } = this.#memory;
    const { event } = dp.stack;
    const isThere = u8[event] === EVENT_DROP;
    this.fate = FATE_DROPPED;
    this.dropCode = isThere ? u8[event + 1]! : 0;
    this.extError = isThere ? u8[event + EXT_ERROR]! : 0;
    this.to = 0;
  }

  #leavesNode(dp: ShardDatapath): boolean {
    const type = this.#etherType();
    return (type === ETH_P_IP || type === ETH_P_IPV6) && this.#lookupDestination(dp) === NULL;
  }

  /** Who on this node has the packet's destination: `struct endpoint_info`, or NULL. */
  #lookupDestination(dp: ShardDatapath): Address {
    const { u32, u16 } = this.#memory;
    const type = this.#etherType();
    if (type !== ETH_P_IP && type !== ETH_P_IPV6) return NULL;
    const isV6 = type === ETH_P_IPV6;
    const from = this.#skb.data + IP_AT + (isV6 ? 24 : 16);
    const key = this.#key;
    for (let i = 0; i < 8; i++) u16[(key >> 1) + i] = isV6 || i < 2 ? u16[(from >> 1) + i]! : 0;
    u32[(key + ENDPOINT_KEY.family) >> 2] = isV6 ? 2 : 1;
    return dp.lxc.lookup(key);
  }

  #etherType(): number {
    const { u8 } = this.#memory;
    const { data, len } = this.#skb;
    return len >= IP_AT + 20 ? (u8[data + 12]! << 8) | u8[data + 13]! : 0;
  }

  /** One hop less to live. @returns false if it had no more: then the stack answers */
  #forward(): boolean {
    const { u8 } = this.#memory;
    const ip = this.#skb.data + IP_AT;
    const isV6 = this.#etherType() === ETH_P_IPV6;
    const at = ip + (isV6 ? 7 : 8);
    if (u8[at]! <= 1) return false;
    u8[at]! -= 1;
    if (!isV6) {
      // RFC 1624, for one less in the high byte of a word.
      let sum = ((u8[ip + 10]! << 8) | u8[ip + 11]!) + 0x100;
      sum = (sum & 0xffff) + (sum >>> 16);
      u8[ip + 10] = sum >>> 8;
      u8[ip + 11] = sum & 0xff;
    }
    return true;
  }
}
