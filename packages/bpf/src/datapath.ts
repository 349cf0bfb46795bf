import {
  type Address,
  AUTH_KEY,
  CT_ENTRY,
  ENDPOINT_KEY,
  type EventRing,
  endpointIfindex,
  endpointLxcId,
  endpointNodeMacAt,
  endpointSecId,
  type HashMap,
  IPCACHE_KEY,
  type LpmTrie,
  LruPerCpuHashMap,
  type Memory,
  NODE_KEY,
  NULL,
  openMap,
  PerCpuHashMap,
  POLICY_KEY,
  POLICY_STATS_KEY,
  POLICY_STATS_VALUE,
  pinned,
  policyMapName,
  Scratch,
} from '@ciliate/maps';
import { type DatapathConfig, DEFAULT_CONFIG } from './config.ts';
import type { StepSink } from './explain.ts';
import { HOST_ID } from './lib/common.ts';
import { CtState } from './lib/conntrack.ts';
import { Family } from './lib/family.ts';
import type { FibLookup } from './lib/fib.ts';
import { Headers } from './lib/headers.ts';
import { Known } from './lib/known.ts';
import { METRIC_SLOTS_BYTES, Metrics } from './lib/metrics.ts';
import { NatTarget, NatTrace } from './lib/nat_entry.ts';
import type { HostSite } from './lib/nodeport.ts';
import { PolicyVerdict } from './lib/policy.ts';
import { openPinned } from './maps.ts';

export interface DatapathOptions {
  /** Which set of connection state this worker owns, and which of the per-CPU values. */
  shard: number;
  events: EventRing;
  /** Where the agent is asked to do something (authenticate); not told if absent. */
  signals?: EventRing;
  /** Decides every choice of a backend, together with the flow. */
  seed: number;
  config?: DatapathConfig;
  /** The host's routes; by default there are none. */
  fib?: FibLookup;
}

/** What Cilium compiles into one endpoint's programs: its own numbers, addresses and policy map. */
export interface EndpointProgram {
  /** Endpoint id, 1..4095. */
  readonly id: number;
  readonly ifindex: number;
  readonly identity: number;
  /** Where its IPv4 address (4 bytes), its IPv6 address (16) and the host's Ethernet address of its interface (6) lie. */
  readonly ipv4: Address;
  readonly ipv6: Address;
  readonly mac: Address;
  readonly policy: LpmTrie;
  /** Bit 0: tell of ingress verdicts, bit 1: of egress ones. */
  readonly policyVerdictLogFilter: number;
}

const LOG_ALL = 3;
const FAMILY_IPV4 = 1;
const PROGRAM_BYTES = 64;
/** The structs of all programs, for both families. */
const STACK_BYTES = 1792 + METRIC_SLOTS_BYTES;

/**
 * What the programs of one worker share: handles of the pinned maps, the stack they write keys to, and the buffers that
 * carry a packet's state from one tail call to the next. Packets run one after the other.
 */
export class Datapath {
  readonly memory: Memory;
  readonly config: DatapathConfig;
  readonly events: EventRing;
  readonly signals: EventRing | undefined;
  readonly seed: number;
  readonly fib: FibLookup;
  readonly ipcache: LpmTrie;
  readonly lxc: HashMap;
  readonly nodes: HashMap;
  readonly auth: HashMap;
  readonly affinityMatch: HashMap;
  readonly policyStats: LruPerCpuHashMap;
  readonly metrics: Metrics;
  /** The programs in one call for usual packets; null where it does not know the node's configuration. */
  readonly known: Known | null;
  readonly v4: Family;
  readonly v6: Family;
  readonly stack: Stack;
  readonly headers = new Headers();
  /** What conntrack found for the packet (the tail-call buffer), and what a service added to it. */
  readonly ct = new CtState();
  readonly ctNew = new CtState();
  readonly policy = new PolicyVerdict();
  readonly natTarget = new NatTarget();
  readonly natTrace = new NatTrace();
  readonly hostTrace = new NatTrace();
  /** Who sent the packet that `ingressPolicy` or the host firewall judged last. */
  srcIdentity = 0;
  /** The places of the node's own programs, made when first needed. */
  hostSite: HostSite | undefined = undefined;
  overlaySite: HostSite | undefined = undefined;
  /** Another program has answered for the packet: what called it changes nothing any more. */
  isFinal = false;
  /** What a drop notification adds to its code (ext_err). */
  extError = 0;
  /** The steps of the current packets while someone wants them explained; null on the hot path. */
  steps: StepSink | null = null;
  /** What the structs of the programs lie in. */
  readonly #scratch: Scratch;
  readonly #programs: (EndpointProgram | undefined)[] = [];
  readonly #blocks = new Map<number, Address>();

  /** Attaches to the maps that the agent pinned. @throws MapError ENOENT naming a map that is not there */
  constructor(memory: Memory, options: DatapathOptions) {
    const { shard, config = DEFAULT_CONFIG } = options;
    this.memory = memory;
    this.config = config;
    this.events = options.events;
    this.signals = options.signals;
    this.seed = options.seed;
    this.fib = options.fib ?? (() => undefined);
    this.ipcache = openPinned(memory, 'cilium_ipcache_v2');
    this.lxc = openPinned(memory, 'cilium_lxc');
    this.nodes = openPinned(memory, 'cilium_node_map_v2');
    this.auth = openPinned(memory, 'cilium_auth_map');
    this.affinityMatch = openPinned(memory, 'cilium_lb_affinity_match');
    this.policyStats = LruPerCpuHashMap.attach(memory, pinned(memory, 'cilium_policystats'), shard);
    this.#scratch = Scratch.create(memory, STACK_BYTES);
    this.metrics = new Metrics(
      memory,
      this.#scratch,
      PerCpuHashMap.attach(memory, pinned(memory, 'cilium_metrics'), shard),
    );
    this.v4 = new Family(memory, this.#scratch, config, false, shard);
    this.v6 = new Family(memory, this.#scratch, config, true, shard);
    this.stack = newStack(memory, this.#scratch, config);
    this.known = Known.of(this);
    this.reload();
  }

  /**
   * Loads the programs of the endpoints that are in cilium_lxc now, as the agent does when endpoints come and go, and with
   * the host firewall that of the host endpoint.
   * @throws MapError ENOENT if the host endpoint has no policy map
   */
  reload(): void {
    this.#programs.length = 0;
    this.known?.clearPrograms();
    const m = this.memory;
    for (const { key, value } of this.lxc.entries()) {
      const id = endpointLxcId(m, value);
      const policy = pinned(m, policyMapName(id));
      if (policy === NULL) continue;
      const block = this.#blocks.get(id) ?? m.alloc(PROGRAM_BYTES);
      this.#blocks.set(id, block);
      // A pod without an address of a family may send from none: zeros are nobody's.
      if (this.#programs[id] === undefined) m.u8.fill(0, block, block + PROGRAM_BYTES);
      const isV4 = m.u8[key + ENDPOINT_KEY.family] === FAMILY_IPV4;
      m.u8.copyWithin(block + (isV4 ? 0 : 16), key, key + (isV4 ? 4 : 16));
      m.u8.copyWithin(block + 32, endpointNodeMacAt(value), endpointNodeMacAt(value) + 6);
      const program = {
        id,
        ifindex: endpointIfindex(m, value),
        identity: endpointSecId(m, value),
        ipv4: block,
        ipv6: block + 16,
        mac: block + 32,
        policy: openMap(m, policy) as LpmTrie,
        policyVerdictLogFilter: LOG_ALL,
      };
      this.replaceProgram(program);
    }
    if (this.config.hostFirewall) this.replaceProgram(this.#hostProgram());
  }

  /** Addresses and device stand for nothing: no packet goes to the host through this program. */
  #hostProgram(): EndpointProgram {
    const { hostEndpointId: id, ciliumHostIfindex: ifindex } = this.config.node;
    const policy: LpmTrie = openPinned(this.memory, policyMapName(id));
    const mac = this.stack.ciliumHostMac;
    return { id, ifindex, identity: HOST_ID, ipv4: NULL, ipv6: NULL, mac, policy, policyVerdictLogFilter: LOG_ALL };
  }

  /** Puts a program in the place of the one that `reload` made. */
  replaceProgram(program: EndpointProgram): void {
    this.#programs[program.id] = program;
    this.known?.setProgram(program);
  }

  /** cilium_call_policy[id]: undefined when the endpoint has no program (yet). */
  program(id: number): EndpointProgram | undefined {
    return this.#programs[id];
  }

  /** Gives the structs back to the memory; the maps stay. The datapath is of no use after it. */
  destroy(): void {
    this.#scratch.destroy();
    this.known?.destroy();
    for (const block of this.#blocks.values()) this.memory.free(block, PROGRAM_BYTES);
    this.#blocks.clear();
  }

  /** Seconds of the clock word (bpf_mono_now). */
  nowSeconds(): number {
    return this.memory.nowSeconds;
  }
}

/** Addresses of the structs that programs build keys and events in, as C programs do on their stack. */
interface Stack {
  readonly entry: Address;
  readonly backendKey: Address;
  readonly revNatKey: Address;
  readonly policyKey: Address;
  readonly statsKey: Address;
  readonly statsValue: Address;
  readonly ipcacheKey: Address;
  readonly endpointKey: Address;
  readonly authKey: Address;
  readonly nodeKey: Address;
  readonly matchKey: Address;
  readonly affinityValue: Address;
  readonly ports: Address;
  readonly event: Address;
  readonly signal: Address;
  /** 6 bytes for whoever exchanges two Ethernet addresses. */
  readonly mac: Address;
  /** Ethernet addresses of cilium_host, cilium_net, and of the devices that bpf_host and bpf_overlay run on. */
  readonly ciliumHostMac: Address;
  readonly ciliumNetMac: Address;
  readonly netdevMac: Address;
  readonly overlayMac: Address;
}

function newStack(memory: Memory, scratch: Scratch, { node }: DatapathConfig): Stack {
  const mac = (bytes: Uint8Array): Address => {
    const at = scratch.take(8);
    memory.u8.set(bytes, at);
    return at;
  };
  return {
    entry: scratch.take(CT_ENTRY.size),
    backendKey: scratch.take(4),
    revNatKey: scratch.take(4),
    policyKey: scratch.take(POLICY_KEY.size),
    statsKey: scratch.take(POLICY_STATS_KEY.size),
    statsValue: scratch.take(POLICY_STATS_VALUE.size),
    ipcacheKey: scratch.take(IPCACHE_KEY.size),
    endpointKey: scratch.take(ENDPOINT_KEY.size),
    authKey: scratch.take(AUTH_KEY.size),
    nodeKey: scratch.take(NODE_KEY.size),
    matchKey: scratch.take(8),
    affinityValue: scratch.take(16),
    ports: scratch.take(4),
    event: scratch.take(48),
    signal: scratch.take(8),
    mac: scratch.take(8),
    ciliumHostMac: mac(node.ciliumHostMac),
    ciliumNetMac: mac(node.ciliumNetMac),
    netdevMac: mac(node.netdev.mac),
    overlayMac: mac(node.overlay.mac),
  };
}
