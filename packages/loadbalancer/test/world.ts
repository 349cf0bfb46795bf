import { decodeObjects } from '@ciliate/k8s';
import {
  addressText,
  type EntryBytes,
  LB_AFFINITY_MATCH,
  LB4_KEY,
  LB4_SERVICE,
  LbMaps,
  Memory,
  maglevTables,
  pinnedEntries,
  readBackend,
  revNatText,
  serviceFlagsText,
  serviceKeyText,
  serviceSlot,
  sourceRangeText,
} from '@ciliate/maps';
import { type LoadBalancerConfig, ServiceManager } from '../src/index.ts';

export const MAGLEV_SIZE = 251;
const MIB = 1024 * 1024;
const STATES = ['', ' terminating'];
const MAPS = ['services_v2', 'backends_v3', 'reverse_nat', 'source_range', 'maglev'] as const;

/** The load balancer's maps, a manager that writes them, and what is in them in words. */
export class World {
  readonly memory = Memory.create(8 * MIB);
  readonly maps = LbMaps.create(this.memory, { maxEntries: 500, maglevTableSize: MAGLEV_SIZE });
  readonly manager: ServiceManager;

  /** @param wrap what the manager writes through */
  constructor(config: Partial<LoadBalancerConfig> = {}, wrap: (maps: LbMaps) => LbMaps = (maps) => maps) {
    this.manager = new ServiceManager(wrap(this.maps), { maglevTableSize: MAGLEV_SIZE, ...config });
  }

  apply(yaml: string): this {
    for (const object of decodeObjects(yaml, 'x.yaml')) {
      if (object.kind === 'Service') this.manager.upsertService(object);
      if (object.kind === 'EndpointSlice') this.manager.upsertEndpointSlice(object);
    }
    this.manager.reconcile();
    return this;
  }

  entries(isIpv6: boolean, map: (typeof MAPS)[number]): EntryBytes[] {
    return pinnedEntries(this.memory, `cilium_lb${isIpv6 ? 6 : 4}_${map}`);
  }

  /** `10.96.0.1:80/TCP [ClusterIP, non-routable] -> 10.0.0.1:80, 10.0.0.2:80 | 10.0.0.3:80 terminating`: of each frontend. */
  frontends(): string[] {
    return [...this.#frontends(false), ...this.#frontends(true)].sort();
  }

  /** Entries of each map, IPv4 and IPv6. */
  counts(): Record<string, number> {
    const counts = MAPS.flatMap((map) =>
      [false, true].map((isIpv6) => [`${map} ${isIpv6 ? 6 : 4}`, this.entries(isIpv6, map).length] as const),
    );
    return Object.fromEntries([...counts, ['affinity', this.#affinity().length]]);
  }

  #affinity(): EntryBytes[] {
    return pinnedEntries(this.memory, 'cilium_lb_affinity_match');
  }

  #frontends(isIpv6: boolean): string[] {
    const backends = new Map(this.entries(isIpv6, 'backends_v3').map(({ key, value }) => [le32(key, 0), value]));
    const revNats = new Map(this.entries(isIpv6, 'reverse_nat').map(({ key, value }) => [be16(key, 0), value]));
    const services = this.entries(isIpv6, 'services_v2');
    const backendText = (id: number): string => {
      const value = backends.get(id)!;
      const { address, port } = readBackend(value);
      const text = isIpv6 ? `[${addressText(address)}]` : addressText(address);
      return `${text}:${port}${STATES[value[isIpv6 ? 19 : 7]!]}`;
    };
    return services
      .filter(({ key }) => serviceSlot(key) === 0)
      .map(({ key, value }) => {
        const place = Buffer.from(key).toString('hex');
        const slotOf = (slot: number): string => {
          const wanted = Buffer.from(key);
          wanted.writeUInt16LE(slot, isIpv6 ? 18 : LB4_KEY.backend_slot);
          const found = services.find((one) => Buffer.compare(one.key, wanted) === 0);
          if (found === undefined) throw new Error(`slot ${slot} of ${place} is missing`);
          return backendText(le32(found.value, 0));
        };
        const count = le16(value, LB4_SERVICE.count);
        const total = count + le16(value, LB4_SERVICE.qcount);
        const slots = Array.from({ length: total }, (_, i) => slotOf(i + 1));
        const id = be16(value, LB4_SERVICE.rev_nat_index);
        const name = serviceKeyText(key).replace(' (0)', '');
        const nat = revNatText(revNats.get(id)!);
        if (!name.startsWith(`${nat}/`)) throw new Error(`${name} is translated back to ${nat}`);
        return [
          `${name} [${serviceFlagsText(value[8]! | (value[9]! << 8))}]`,
          ...this.#extras(isIpv6, id, le32(value, 0), backendText),
          `-> ${slots.slice(0, count).join(', ')}`,
          ...(total > count ? [`| ${slots.slice(count).join(', ')}`] : []),
        ].join(' ');
      });
  }

  #extras(isIpv6: boolean, revNatId: number, union: number, backendText: (id: number) => string): string[] {
    const [algorithm, timeout] = [union >>> 24, union & 0xff_ffff];
    const affinity = this.#affinity().filter(({ key }) => be16(key, LB_AFFINITY_MATCH.rev_nat_id) === revNatId);
    const ranges = this.entries(isIpv6, 'source_range').map(({ key }) => sourceRangeText(key));
    const own = ranges.filter((text) => text.endsWith(` (${revNatId})`)).map((text) => text.split(' ')[0]!);
    const table = maglevTables(this.memory, isIpv6).find((one) => one.revNatId === revNatId);
    const said: [boolean, string][] = [
      [algorithm !== 0, `algorithm ${algorithm}`],
      [timeout !== 0, `timeout ${timeout}`],
      [
        affinity.length > 0,
        `keeps ${affinity
          .map(({ key }) => backendText(le32(key, 0)))
          .sort()
          .join(', ')}`,
      ],
      [own.length > 0, `from ${own.sort().join(', ')}`],
      [table !== undefined, `maglev ${sharesOf(table?.backends ?? [], backendText)}`],
    ];
    return said.flatMap(([is, text]) => (is ? [text] : []));
  }
}

/** `10.0.0.1:80 126, 10.0.0.2:80 125`: how many slots each has. */
function sharesOf(slots: Iterable<number>, backendText: (id: number) => string): string {
  const shares = Map.groupBy(slots, backendText);
  return [...shares]
    .map(([text, all]) => `${text} ${all.length}`)
    .sort()
    .join(', ');
}

const le16 = (bytes: Uint8Array, at: number): number => bytes[at]! | (bytes[at + 1]! << 8);
const be16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;
const le32 = (bytes: Uint8Array, at: number): number => (le16(bytes, at) | (le16(bytes, at + 2) << 16)) >>> 0;
