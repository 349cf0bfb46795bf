import {
  type Address,
  CT_ENTRY,
  ctMapName,
  ENDPOINT_KEY,
  type EventRing,
  endpointIfindex,
  endpointLxcId,
  endpointSecId,
  type HashMap,
  IPCACHE_KEY,
  IPCACHE_MAP_NAME,
  IPV4_CT_TUPLE,
  LB4_BACKENDS_MAP_NAME,
  LB4_KEY,
  LB4_REVERSE_NAT_MAP_NAME,
  LB4_SERVICES_MAP_NAME,
  type LpmTrie,
  LXC_MAP_NAME,
  MapError,
  type Memory,
  NULL,
  openMap,
  POLICY_KEY,
  pinned,
  policyMapName,
  Scratch,
  secIdentity,
  setEndpointKey4,
  setIpcacheKey4,
} from '@ciliate/maps';
import type { Step } from './explain.ts';
import { ntohl } from './lib/common.ts';
import { CtState } from './lib/conntrack.ts';
import type { MonitorAggregation } from './lib/notify.ts';
import { PolicyVerdict } from './lib/policy.ts';

export interface DatapathOptions {
  /** Which of the conntrack maps this worker owns. */
  shard: number;
  events: EventRing;
  /** Decides every choice of a backend, together with the flow. */
  seed: number;
  /** Default 3, as the agent's. */
  monitorAggregation?: MonitorAggregation;
}

/** What Cilium compiles into one endpoint's programs: its own numbers and its policy map. */
export interface EndpointProgram {
  /** Endpoint id, 1..4095. */
  id: number;
  ifindex: number;
  /** be32. */
  address: number;
  identity: number;
  /** Its `struct endpoint_info` in cilium_lxc, which has the Ethernet addresses. */
  info: Address;
  policy: LpmTrie;
}

const IPV4_FULL_PREFIX = 32;

/**
 * What the programs of one worker share: handles of the pinned maps, the stack they write keys to, and the buffers that
 * carry a packet's state from one tail call to the next. Packets run one after the other.
 */
export class Datapath {
  readonly memory: Memory;
  readonly events: EventRing;
  readonly seed: number;
  readonly monitorAggregation: MonitorAggregation;
  readonly ctTcp: HashMap;
  readonly ctAny: HashMap;
  readonly ipcache: LpmTrie;
  readonly lxc: HashMap;
  readonly services: HashMap;
  readonly backends: HashMap;
  readonly revNat: HashMap;
  readonly stack: Stack;
  /** What conntrack found for the packet (the tail-call buffer), and what a service added to it. */
  readonly ct = new CtState();
  readonly ctNew = new CtState();
  readonly policy = new PolicyVerdict();
  /** The steps of the current packets while someone wants them explained; null on the hot path. */
  steps: Step[] | null = null;
  readonly #programs: (EndpointProgram | undefined)[] = [];

  /** Attaches to the maps that the agent pinned. @throws MapError ENOENT naming a map that is not there */
  constructor(memory: Memory, options: DatapathOptions) {
    this.memory = memory;
    this.events = options.events;
    this.seed = options.seed;
    this.monitorAggregation = options.monitorAggregation ?? 3;
    this.ctTcp = openPinned(memory, ctMapName(true, options.shard)) as HashMap;
    this.ctAny = openPinned(memory, ctMapName(false, options.shard)) as HashMap;
    this.ipcache = openPinned(memory, IPCACHE_MAP_NAME) as LpmTrie;
    this.lxc = openPinned(memory, LXC_MAP_NAME) as HashMap;
    this.services = openPinned(memory, LB4_SERVICES_MAP_NAME) as HashMap;
    this.backends = openPinned(memory, LB4_BACKENDS_MAP_NAME) as HashMap;
    this.revNat = openPinned(memory, LB4_REVERSE_NAT_MAP_NAME) as HashMap;
    this.stack = newStack(memory);
    this.reload();
  }

  /** Loads the programs of the endpoints that are in cilium_lxc now, as the agent does when endpoints come and go. */
  reload(): void {
    this.#programs.length = 0;
    const m = this.memory;
    for (const { key, value } of this.lxc.entries()) {
      const id = endpointLxcId(m, value);
      const policy = pinned(m, policyMapName(id));
      if (policy === NULL) continue;
      this.#programs[id] = {
        id,
        ifindex: endpointIfindex(m, value),
        address: m.u32[(key + ENDPOINT_KEY.ip4) >> 2]!,
        identity: endpointSecId(m, value),
        info: value,
        policy: openMap(m, policy) as LpmTrie,
      };
    }
  }

  /** cilium_call_policy[id]: undefined when the endpoint has no program (yet). */
  program(id: number): EndpointProgram | undefined {
    return this.#programs[id];
  }

  /** The local endpoint with this be32 address: address of its `struct endpoint_info`, or NULL. */
  lookupIp4Endpoint(address: number): Address {
    setEndpointKey4(this.memory, this.stack.endpointKey, ntohl(address));
    return this.lxc.lookup(this.stack.endpointKey);
  }

  /** The identity of a be32 address by longest prefix, or 0 when the ipcache does not know it. */
  lookupIp4Identity(address: number): number {
    setIpcacheKey4(this.memory, this.stack.ipcacheKey, ntohl(address), IPV4_FULL_PREFIX, 0);
    const at = this.ipcache.lookup(this.stack.ipcacheKey);
    return at === NULL ? 0 : secIdentity(this.memory, at);
  }

  /** Seconds of the clock word (bpf_mono_now). */
  nowSeconds(): number {
    return this.memory.nowSeconds;
  }
}

/** Opens a pinned map. @throws MapError ENOENT */
function openPinned(memory: Memory, name: string): LpmTrie | HashMap {
  const address = pinned(memory, name);
  if (address === NULL) throw new MapError('ENOENT', 'no map is pinned under this name', { name });
  return openMap(memory, address) as LpmTrie | HashMap;
}

/** Addresses of the structs that programs build keys and events in, as C programs do on their stack. */
interface Stack {
  tuple: Address;
  lbTuple: Address;
  relatedTuple: Address;
  entry: Address;
  lbKey: Address;
  backendKey: Address;
  revNatKey: Address;
  policyKey: Address;
  ipcacheKey: Address;
  endpointKey: Address;
  event: Address;
}

function newStack(memory: Memory): Stack {
  const scratch = Scratch.create(memory, 512);
  return {
    tuple: scratch.take(IPV4_CT_TUPLE.size),
    lbTuple: scratch.take(IPV4_CT_TUPLE.size),
    relatedTuple: scratch.take(IPV4_CT_TUPLE.size),
    entry: scratch.take(CT_ENTRY.size),
    lbKey: scratch.take(LB4_KEY.size),
    backendKey: scratch.take(4),
    revNatKey: scratch.take(2),
    policyKey: scratch.take(POLICY_KEY.size),
    ipcacheKey: scratch.take(IPCACHE_KEY.size),
    endpointKey: scratch.take(ENDPOINT_KEY.size),
    event: scratch.take(48),
  };
}
