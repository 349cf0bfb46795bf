import type { EndpointSlice, Service } from '@ciliate/k8s';
import type { LbMaps } from '@ciliate/maps';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LoadBalancerConfig } from '../src/index.ts';
import { World } from './world.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const NAMES = ['a', 'b', 'c'] as const;
const position = { file: 'x.yaml', line: 1, column: 1 };
const meta = (name: string) => ({ namespace: 'default', name, labels: {}, annotations: {} });
const policy = fc.constantFrom('Cluster' as const, 'Local' as const);

interface ServiceFields
  extends Pick<Service['spec'], 'type' | 'sessionAffinity' | 'loadBalancerSourceRanges' | 'externalIPs'> {
  name: string;
  hosts: string[];
  nodePort: number | undefined;
  ports: number[];
  external: 'Cluster' | 'Local';
  internal: 'Cluster' | 'Local';
  loadBalancerIPs: string[];
  algorithm: Record<string, string>;
}
const serviceObject = (fields: ServiceFields): Service => {
  const { name, hosts, ports, nodePort, external, internal, algorithm, loadBalancerIPs, type, ...spec } = fields;
  return {
    kind: 'Service',
    position,
    metadata: { ...meta(name), annotations: algorithm },
    spec: {
      ...{ ...spec, type, clusterIP: hosts[0]!, clusterIPs: hosts, ipFamilies: ['IPv4', 'IPv6'], selector: undefined },
      ...{ externalTrafficPolicy: external, internalTrafficPolicy: internal },
      ports: ports.map((port) => ({
        ...{ name: `p${port}`, port, targetPort: port, protocol: 'TCP' as const },
        nodePort: nodePort === undefined || type === 'ClusterIP' ? undefined : nodePort + port - 80,
      })),
    },
    status: { loadBalancerIPs },
  };
};

// Few addresses and ports: services take them from one another, and claim the same.
const service: fc.Arbitrary<Service> = fc
  .record({
    name: fc.constantFrom(...NAMES),
    type: fc.constantFrom('ClusterIP' as const, 'NodePort' as const, 'LoadBalancer' as const),
    hosts: fc.subarray(['10.96.0.1', '10.96.0.2', 'fd00:96::1'], { minLength: 1 }),
    nodePort: fc.constantFrom(undefined, 30_001, 30_002),
    ports: fc.subarray([80, 81], { minLength: 1 }),
    external: policy,
    internal: policy,
    sessionAffinity: fc.constantFrom(undefined, { timeoutSeconds: 10 }),
    loadBalancerSourceRanges: fc.subarray(['192.0.2.0/24', '192.0.2.1/32', '2001:db8::/32']),
    externalIPs: fc.subarray(['198.51.100.1']),
    loadBalancerIPs: fc.subarray(['203.0.113.1', 'fd00:203::1']),
    algorithm: fc.constantFrom(
      {},
      ...['random', 'maglev'].map((value) => ({ 'service.cilium.io/lb-algorithm': value })),
    ),
  })
  .map(serviceObject);

const conditions = fc.constantFrom(
  { ready: true, serving: undefined, terminating: undefined },
  { ready: false, serving: true, terminating: true },
  { ready: false, serving: false, terminating: true },
);
interface SliceFields {
  name: string;
  service: string;
  isIpv6: boolean;
  hosts: { host: number; conditions: EndpointSlice['endpoints'][number]['conditions']; nodeName: string }[];
  ports: number[];
}
const sliceObject = ({ name, service, isIpv6, hosts, ports }: SliceFields): EndpointSlice => ({
  kind: 'EndpointSlice',
  position,
  metadata: { ...meta(name), labels: { 'kubernetes.io/service-name': service } },
  addressType: isIpv6 ? 'IPv6' : 'IPv4',
  endpoints: hosts.map(({ host, ...endpoint }) => ({
    ...endpoint,
    addresses: [isIpv6 ? `fd00::${host}` : `10.0.0.${host}`],
  })),
  ports: ports.map((port) => ({ name: `p${port}`, port: 8000 + port, protocol: 'TCP' })),
});

const slice: fc.Arbitrary<EndpointSlice> = fc
  .record({
    name: fc.constantFrom('s1', 's2', 's3'),
    service: fc.constantFrom(...NAMES),
    isIpv6: fc.boolean(),
    hosts: fc.array(
      fc.record({ host: fc.integer({ min: 1, max: 4 }), conditions, nodeName: fc.constantFrom('here', 'there') }),
      {
        maxLength: 4,
      },
    ),
    ports: fc.subarray([80, 81], { minLength: 1 }),
  })
  .map(sliceObject);

type Change =
  | { do: 'upsert'; object: Service | EndpointSlice }
  | { do: 'delete'; kind: 'Service' | 'EndpointSlice'; name: string }
  | { do: 'reconcile' };
const change: fc.Arbitrary<Change> = fc.oneof(
  { arbitrary: service.map((object) => ({ do: 'upsert' as const, object })), weight: 4 },
  { arbitrary: slice.map((object) => ({ do: 'upsert' as const, object })), weight: 4 },
  {
    arbitrary: fc.oneof(
      fc.record({
        do: fc.constant('delete' as const),
        kind: fc.constant('Service' as const),
        name: fc.constantFrom(...NAMES),
      }),
      fc.record({
        do: fc.constant('delete' as const),
        kind: fc.constant('EndpointSlice' as const),
        name: fc.constantFrom('s1', 's2', 's3'),
      }),
    ),
    weight: 2,
  },
  { arbitrary: fc.constant({ do: 'reconcile' as const }), weight: 3 },
);
const config: fc.Arbitrary<Partial<LoadBalancerConfig>> = fc.record({
  ...{ ipv6: fc.constant(true), nodeName: fc.constant('here') },
  nodePortAddresses: fc.constant(['192.168.1.1', 'fd00:1::1']),
  algorithm: fc.constantFrom('random' as const, 'maglev' as const),
  algorithmAnnotation: fc.boolean(),
});

/** @returns whether the services could be written: false if two claim one frontend */
function reconcile(world: World): boolean {
  try {
    world.manager.reconcile();
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === 'BAD_INPUT') return false;
    throw error;
  }
}

function tell(world: World, object: Service | EndpointSlice): void {
  if (object.kind === 'Service') world.manager.upsertService(object);
  else world.manager.upsertEndpointSlice(object);
}

/** Calls `look` after every call of a method of the maps. */
const watched = (maps: LbMaps, look: () => void): LbMaps =>
  new Proxy(maps, {
    get: (target, name) => {
      const method = Reflect.get(target, name, target) as (...args: unknown[]) => unknown;
      return (...args: unknown[]) => {
        method.apply(target, args);
        look();
      };
    },
  });

/** @returns the worlds after all changes, and after the last ones alone */
function worldsOf(
  config: Partial<LoadBalancerConfig>,
  changes: readonly Change[],
  look: (world: World) => void,
): World[] {
  const world: World = new World(config, (maps) => watched(maps, () => look(world)));
  const objects = new Map<string, Service | EndpointSlice>();
  for (const one of changes) {
    if (one.do === 'reconcile') reconcile(world);
    else if (one.do === 'upsert') {
      tell(world, one.object);
      objects.set(`${one.object.kind}/${one.object.metadata.name}`, one.object);
    } else {
      if (one.kind === 'Service') world.manager.deleteService('default', one.name);
      else world.manager.deleteEndpointSlice('default', one.name);
      objects.delete(`${one.kind}/${one.name}`);
    }
  }
  const fresh = new World(config);
  for (const object of objects.values()) tell(fresh, object);
  return [world, fresh];
}

/** Two slices name the same backend, on two nodes; the one that came first is told again, of this service now. */
const disagreement = (): [Partial<LoadBalancerConfig>, Change[]] => {
  const spec = { sessionAffinity: undefined, loadBalancerSourceRanges: [], externalIPs: [], loadBalancerIPs: [] };
  const policies = { external: 'Cluster', internal: 'Local', algorithm: {}, nodePort: undefined } as const;
  const service = { name: 'c', type: 'ClusterIP', hosts: ['10.96.0.2'], ports: [80], ...policies, ...spec } as const;
  const told = (name: string, of: string, nodeName: string): Change => {
    const conditions = { ready: true, serving: undefined, terminating: undefined };
    const fields = { name, service: of, isIpv6: false, hosts: [{ host: 4, conditions, nodeName }], ports: [80] };
    return { do: 'upsert', object: sliceObject(fields) };
  };
  const object = serviceObject({ ...service, hosts: [...service.hosts], ports: [...service.ports] });
  const slices = [told('s3', 'a', 'there'), told('s1', 'c', 'here'), told('s3', 'c', 'there')];
  return [{ nodeName: 'here', algorithm: 'random' }, [{ do: 'upsert', object }, ...slices]];
};

test('any changes give the maps that their end gives at once', () => {
  let written = 0;
  fc.assert(
    fc.property(config, fc.array(change, { minLength: 1, maxLength: 25 }), (config, changes) => {
      const [world, fresh] = worldsOf(config, changes, () => {}) as [World, World];
      const isWritten = reconcile(world);
      expect(reconcile(fresh)).toBe(isWritten);
      if (!isWritten) return;
      written++;
      expect(world.frontends()).toEqual(fresh.frontends());
      expect(world.counts()).toEqual(fresh.counts());
      expect(world.manager.entries.map(withoutIds)).toEqual(fresh.manager.entries.map(withoutIds));
    }),
    { seed, numRuns: 300, examples: [disagreement()] },
  );
  expect(written).toBeGreaterThan(30);
});

const withoutIds = ({ revNatId: _, backends, ...entry }: World['manager']['entries'][number]) => ({
  ...entry,
  backends: backends.map(({ id: _, ...backend }) => backend),
});

test('after every single write each frontend is whole: its backends, its way back, its table', () => {
  let looks = 0;
  fc.assert(
    fc.property(config, fc.array(change, { minLength: 1, maxLength: 20 }), (config, changes) => {
      const look = (world: World) => {
        looks++;
        // Throws if a slot, a backend or a reverse NAT entry is missing.
        const half = world.frontends().filter((line) => line.includes('algorithm 2') && !line.includes('maglev'));
        expect(
          half.filter((line) => !line.endsWith('-> ') && !line.startsWith('0.0.0.0') && !line.startsWith('[::]')),
        ).toEqual([]);
      };
      worldsOf({ ...config, algorithmAnnotation: true }, [...changes, { do: 'reconcile' }], look);
    }),
    { seed, numRuns: 100 },
  );
  expect(looks).toBeGreaterThan(100);
});
