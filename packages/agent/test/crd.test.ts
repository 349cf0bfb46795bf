import { IdentityCache } from '@ciliate/identity';
import { type CiliumIdentity, decodeObjects, HEARTBEAT_ANNOTATION, ObjectStore } from '@ciliate/k8s';
import { Labels } from '@ciliate/labels';
import { IpcacheMap } from '@ciliate/maps';
import { formatIp, parseIp } from '@ciliate/packet';
import { expect, test } from 'vitest';
import { CrdAllocator, CrdIdentityGc } from '../src/index.ts';
import { Cluster, pod } from './cluster.ts';

const web = Labels.parse(['k8s:app=web', 'k8s:io.kubernetes.pod.namespace=default']);
const db = Labels.parse(['k8s:app=db']);
const MINUTE = 60_000;

function objects(range = { min: 256, max: 65_535 }) {
  const store = new ObjectStore();
  const clock = { now: 0 };
  const gc = new CrdIdentityGc({ store, nowMs: () => clock.now });
  const agent = () => {
    const cache = new IdentityCache();
    return { cache, allocator: new CrdAllocator({ store, cache, random: () => 0, range }) };
  };
  const note = (yaml: string) => decodeObjects(yaml, 'objects.yaml').forEach((object) => void store.apply(object));
  const names = () => store.list('CiliumIdentity').map(({ metadata }) => metadata.name);
  return { store, clock, gc, agent, note, names };
}

const endpoint = (name: string, identity: number) => `
apiVersion: cilium.io/v2
kind: CiliumEndpoint
metadata: { name: ${name} }
status:
  id: 7
  identity: { id: ${identity}, labels: ["k8s:app=web"] }
  networking: { node: 192.168.1.9, addressing: [{ ipv4: 10.0.9.1, ipv6: "fd00::9" }] }
  named-ports: [{ name: http, port: 80, protocol: TCP }]
  state: ready
`;

test('an identity is an object with its number for a name and its labels as Cilium writes them', async () => {
  const { store, agent } = objects();
  expect(await agent().allocator.allocate(web)).toEqual({ identity: 256, isNew: true });
  const [object] = store.list('CiliumIdentity');
  expect(object).toMatchObject({
    metadata: { name: '256', labels: { 'io.kubernetes.pod.namespace': 'default' } },
    securityLabels: { 'k8s:app': 'web', 'k8s:io.kubernetes.pod.namespace': 'default' },
  } satisfies { metadata: Partial<CiliumIdentity['metadata']> } & Pick<CiliumIdentity, 'securityLabels'>);
});

test('agents that share objects agree, and know of each other’s identities', async () => {
  const { agent, names } = objects();
  const [one, two] = [agent(), agent()];
  expect((await one.allocator.allocate(web)).identity).toBe(256);
  expect(await two.allocator.allocate(web)).toEqual({ identity: 256, isNew: false });
  expect(await two.allocator.allocate(db)).toEqual({ identity: 257, isNew: true });
  expect([one.cache.get(257)!.equals(db), one.allocator.lookup(db), names()]).toEqual([true, 257, ['256', '257']]);
});

test('an identity that the user wrote down is used; of two with the same labels the older one', async () => {
  const { agent, note } = objects();
  const yaml = (name: number) => `
apiVersion: cilium.io/v2
kind: CiliumIdentity
metadata: { name: "${name}" }
security-labels: { "k8s:app": db }
---`;
  note(yaml(4000) + yaml(300));
  expect(await agent().allocator.allocate(db)).toEqual({ identity: 4000, isNew: false });
});

test('what cannot be allocated is refused by name', async () => {
  const { agent } = objects({ min: 256, max: 256 });
  const { allocator } = agent();
  await allocator.allocate(web);
  await expect(allocator.allocate(db)).rejects.toMatchObject({ code: 'EXHAUSTED' });
  await expect(allocator.release(db)).rejects.toMatchObject({ code: 'NOT_ALLOCATED' });
  await expect(allocator.allocate(Labels.none)).rejects.toMatchObject({ code: 'INVALID' });
  await expect(allocator.allocate(Labels.parse(['cidr:10.0.0.0/8']))).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  expect(await allocator.allocate(Labels.parse(['reserved:health']))).toEqual({ identity: 4, isNew: false });
});

test('nobody’s identity is marked 30 minutes after its last sign of life, and deleted 30 minutes after that', async () => {
  const { store, clock, gc, agent, note, names } = objects();
  const { allocator } = agent();
  await allocator.allocate(web);
  note(endpoint('web', 256));
  clock.now = 40 * MINUTE;
  expect(gc.run()).toEqual({ alive: 1, marked: [], deleted: [] }); // its endpoint keeps it alive
  store.delete({ kind: 'CiliumEndpoint', namespace: 'default', name: 'web' });
  await allocator.release(web);
  clock.now = 69 * MINUTE;
  expect(gc.run()).toEqual({ alive: 1, marked: [], deleted: [] });
  clock.now = 70 * MINUTE;
  expect(gc.run()).toEqual({ alive: 1, marked: ['256'], deleted: [] });
  expect(store.list('CiliumIdentity')[0]!.metadata.annotations).toEqual({
    [HEARTBEAT_ANNOTATION]: '1970-01-01T01:10:00.000Z',
  });
  clock.now = 99 * MINUTE;
  expect(gc.run()).toEqual({ alive: 1, marked: [], deleted: [] });
  clock.now = 100 * MINUTE;
  expect(gc.run()).toEqual({ alive: 0, marked: [], deleted: ['256'] });
  expect([names(), allocator.lookup(web)]).toEqual([[], undefined]);
});

test('who uses a marked identity again takes the mark off; one deleted in use is made again with its number', async () => {
  const { store, clock, gc, agent, names } = objects();
  const { allocator, cache } = agent();
  await allocator.allocate(web);
  await allocator.release(web);
  clock.now = 30 * MINUTE;
  expect(gc.run().marked).toEqual(['256']);
  expect(await allocator.allocate(web)).toEqual({ identity: 256, isNew: false });
  expect(store.list('CiliumIdentity')[0]!.metadata.annotations).toEqual({});
  store.delete({ kind: 'CiliumIdentity', namespace: '', name: '256' });
  expect([names(), cache.get(256)!.equals(web)]).toEqual([['256'], true]);
});

test('an agent tells of its pods by CiliumEndpoints, hears of others by theirs, and takes its own with it', async () => {
  const cluster = await Cluster.start(pod('web', '10.0.0.1', 'web'), { identityAllocationMode: 'crd' });
  const { agent, store } = cluster;
  const identity = agent.endpoints[0]!.identity;
  expect(store.list('CiliumIdentity').map(({ metadata }) => metadata.name)).toEqual([`${identity}`]);
  expect(store.list('CiliumEndpoint')).toMatchObject([
    { metadata: { name: 'web' }, status: { id: 1, identity, node: '192.168.1.1', addresses: ['10.0.0.1'] } },
  ]);
  const shown = () => {
    const { identity, tunnelEndpoint } = IpcacheMap.open(agent.memory).lookup(parseIp('10.0.9.1')!)!;
    return `${identity} ${formatIp(tunnelEndpoint)}`;
  };
  await cluster.apply(endpoint('other', identity));
  expect(shown()).toBe(`${identity} 192.168.1.9`);
  await cluster.apply(endpoint('other', 999));
  expect(shown()).toBe('999 192.168.1.9');
  await cluster.delete('CiliumEndpoint', 'other');
  expect(shown()).toBe('2 0.0.0.0');
  await cluster.delete('Pod', 'web');
  expect(store.list('CiliumEndpoint')).toEqual([]);
  expect(store.list('CiliumIdentity')).toHaveLength(1); // the operator's to delete
  await agent.stop();
});
