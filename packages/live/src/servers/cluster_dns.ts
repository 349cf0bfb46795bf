import type { ObjectStore, Pod, Service } from '@ciliate/k8s';
import { isIpv6, parseIp } from '@ciliate/packet';
import { type Answer, AUTHORITATIVE_ANSWER, decode, encode, type Packet, RECURSION_AVAILABLE } from 'dns-packet';

const DOMAIN = 'cluster.local';
/** Of the kubernetes plugin of CoreDNS, in seconds. */
const TTL_S = 30;
const RCODE_NXDOMAIN = 3;
const MAX_UDP_BYTES = 512;

/** Names outside of the cluster, absolute, and their addresses. */
export type WorldNames = ReadonlyMap<string, readonly string[]>;

/**
 * The cluster's DNS: `SERVICE.NAMESPACE.svc`, of a headless service all its pods, `POD.SERVICE.NAMESPACE.svc` for one of them,
 * `1-2-3-4.NAMESPACE.pod`; and names of the world. Everything else does not exist. A and AAAA: to other types of an existing
 * name the answer is empty.
 */
export class ClusterDns {
  readonly #store: ObjectStore;
  readonly #world: WorldNames;

  constructor(store: ObjectStore, world: WorldNames) {
    this.#store = store;
    this.#world = world;
  }

  /** @returns undefined if the bytes are no question */
  answer(query: Uint8Array, transport: 'UDP' | 'TCP'): Uint8Array | undefined {
    const asked = tryDecode(query);
    const question = asked?.questions?.[0];
    if (asked === undefined || asked.type !== 'query' || question === undefined) return undefined;
    const addresses = this.addressesOf(question.name);
    const { name, type } = question;
    const answers = (addresses ?? []).flatMap((data): Answer[] => {
      const own = isIpv6(parseIp(data)!) ? 'AAAA' : 'A';
      return own === type ? [{ type: own, name, ttl: TTL_S, data }] : [];
    });
    const flags = AUTHORITATIVE_ANSWER | RECURSION_AVAILABLE | ((asked.flags ?? 0) & RECURSION_DESIRED);
    const rcode = addresses === undefined ? RCODE_NXDOMAIN : 0;
    const response: Packet = { type: 'response', id: asked.id, flags: flags | rcode, questions: [question], answers };
    const whole = encode(response);
    if (transport === 'TCP' || whole.length <= MAX_UDP_BYTES) return whole;
    return encode({ ...response, flags: flags | rcode | TRUNCATED, answers: [] });
  }

  /** @returns undefined: there is no such name */
  addressesOf(name: string): readonly string[] | undefined {
    const labels = name.toLowerCase().replace(/\.$/, '').split('.');
    if (labels.slice(-2).join('.') !== DOMAIN) return this.#world.get(labels.join('.'));
    const rest = labels.slice(0, -2);
    const kind = rest.at(-1);
    const namespace = rest.at(-2);
    if (namespace === undefined) return undefined;
    if (kind === 'pod' && rest.length === 3) return this.#podByAddress(namespace, rest[0]!);
    if (kind !== 'svc' || rest.length < 3 || rest.length > 4) return undefined;
    const service = this.#store.get({ kind: 'Service', namespace, name: rest.at(-3)! });
    if (service === undefined) return undefined;
    const backends = this.#podsOf(service);
    if (rest.length === 4) {
      const pod =
        service.spec.clusterIP === 'None' ? backends.find(({ metadata }) => metadata.name === rest[0]) : undefined;
      return pod?.status.podIPs;
    }
    return service.spec.clusterIP === 'None'
      ? backends.flatMap(({ status }) => status.podIPs)
      : service.spec.clusterIPs;
  }

  #podByAddress(namespace: string, dashed: string): string[] | undefined {
    const address = parseIp(dashed.replaceAll('-', '.')) ?? parseIp(dashed.replaceAll('-', ':'));
    const pods = this.#store.list('Pod').filter(({ metadata }) => metadata.namespace === namespace);
    const all = pods.flatMap(({ status }) => status.podIPs);
    const found = all.find((text) => parseIp(text) === address);
    return found === undefined ? undefined : [found];
  }

  #podsOf({ metadata: { namespace }, spec: { selector } }: Service): Pod[] {
    if (selector === undefined) return [];
    return this.#store
      .list('Pod')
      .filter(
        ({ metadata }) =>
          metadata.namespace === namespace &&
          Object.entries(selector).every(([key, value]) => metadata.labels[key] === value),
      );
  }
}

const RECURSION_DESIRED = 1 << 8;
const TRUNCATED = 1 << 9;

function tryDecode(bytes: Uint8Array): Packet | undefined {
  try {
    return decode(Buffer.from(bytes));
  } catch {
    return undefined; // not DNS, whatever the port says
  }
}
