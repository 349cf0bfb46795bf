import { decodeObjects, ObjectStore } from '@ciliate/k8s';
import { IpcacheMap } from '@ciliate/maps';
import { formatIp } from '@ciliate/packet';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { Agent, type AgentOptions } from '../src/index.ts';

const pod = (name: string, address: string, where: string, host: string, app = name): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: ${app} } }
spec: { ${where === '' ? '' : `nodeName: ${where}, `}containers: [{ name: main, ports: [{ containerPort: 80 }] }] }
status: { podIP: ${address}${host === '' ? '' : `, hostIP: ${host}`} }
---`;
const node = (name: string, address: string): string => `
apiVersion: cilium.io/v2
kind: CiliumNode
metadata: { name: ${name} }
spec: { addresses: [{ type: InternalIP, ip: ${address} }] }
---`;
const CLUSTER = [
  pod('here', '10.0.1.1', 'one', '192.168.1.1'),
  pod('there', '10.0.2.1', 'two', '192.168.1.2'),
  pod('silent', '10.0.1.2', '', ''),
  pod('told', '10.0.2.2', '', '192.168.1.2', 'there'),
  node('one', '192.168.1.1'),
].join('');

const agents: Agent[] = [];
afterEach(() => Promise.all(agents.splice(0).map((agent) => agent.stop())));

const apply = (store: ObjectStore, yaml: string): void => {
  for (const object of decodeObjects(yaml, 'cluster.yaml')) store.apply(object);
};

async function start(yaml: string, options: Partial<AgentOptions> = {}): Promise<{ agent: Agent; store: ObjectStore }> {
  const store = new ObjectStore();
  apply(store, yaml);
  const agent = await Agent.start({ store, seed: 1, log: pino({ level: 'silent' }), ...options });
  agents.push(agent);
  return { agent, store };
}

const known = ({ memory, identities }: Agent, address: string): string | undefined => {
  const entry = IpcacheMap.open(memory)
    .entries()
    .find(({ ip, prefixLen }) => formatIp(ip) === address && prefixLen === 32);
  const app =
    entry &&
    identities
      .get(entry.identity)
      ?.toStrings()
      .find((label) => label.startsWith('k8s:app='));
  return entry && `${app ?? entry.identity} behind ${formatIp(entry.tunnelEndpoint)}`;
};

test('told no node, an agent has all pods', async () => {
  const { agent } = await start(CLUSTER);
  expect(agent.endpoints).toHaveLength(4);
  expect(known(agent, '10.0.2.1')).toBe('k8s:app=there behind 0.0.0.0');
});

test('told its node, it has the pods of that, and of the others their identities and where they are', async () => {
  const { agent } = await start(CLUSTER, { node: 'one' });
  expect(agent.endpoints.map(({ name }) => name)).toEqual(['here', 'silent']);
  expect(agent.nodeAddresses.map(formatIp)).toEqual(['192.168.1.1']);
  expect(known(agent, '10.0.1.1')).toBe('k8s:app=here behind 0.0.0.0');
  expect(known(agent, '10.0.2.1')).toBe('k8s:app=there behind 192.168.1.2');
  expect(known(agent, '10.0.2.2')).toBe('k8s:app=there behind 192.168.1.2');
  expect(agent.nameOf(0x0a000201)).toBe('default/there');
});

test('what the object of a node says counts more than what pods say, also when it changes', async () => {
  const { agent, store } = await start(`${CLUSTER}${node('two', '192.168.9.2')}`, { node: 'one' });
  expect(known(agent, '10.0.2.1')).toBe('k8s:app=there behind 192.168.9.2');
  apply(store, node('two', '192.168.9.3'));
  await agent.settled();
  expect(known(agent, '10.0.2.1')).toBe('k8s:app=there behind 192.168.9.3');
});

test('a pod elsewhere gets other labels, an address that was another one had, comes here, and goes', async () => {
  const { agent, store } = await start(CLUSTER, { node: 'one' });
  apply(store, pod('there', '10.0.2.1', 'two', '192.168.1.2', 'new'));
  await agent.settled();
  expect(known(agent, '10.0.2.1')).toBe('k8s:app=new behind 192.168.1.2');

  store.delete({ kind: 'Pod', namespace: 'default', name: 'there' });
  apply(store, pod('another', '10.0.2.1', 'two', '192.168.1.2'));
  await agent.settled();
  expect(known(agent, '10.0.2.1')).toBe('k8s:app=another behind 192.168.1.2');

  store.delete({ kind: 'Pod', namespace: 'default', name: 'another' });
  apply(store, pod('another', '10.0.2.1', 'one', '192.168.1.1'));
  await agent.settled();
  expect(agent.endpointOfPod('another')).toBeDefined();
  expect(known(agent, '10.0.2.1')).toBe('k8s:app=another behind 0.0.0.0');

  store.delete({ kind: 'Pod', namespace: 'default', name: 'told' });
  await agent.settled();
  expect(known(agent, '10.0.2.2')).toBeUndefined();
});

const refused: [name: string, yaml: string, node: string, message: RegExp][] = [
  ['a node that nobody names', CLUSTER, 'tow', /--node tow: no such node \(there are: one, two\).*did you mean "two"/],
  [
    'a pod whose node nobody knows where it is',
    `${CLUSTER}${pod('lost', '10.0.3.1', 'three', '')}`,
    'one',
    /cluster\.yaml:\d+:\d+: spec\.nodeName: default\/lost is on the node three, whose address nothing says/,
  ],
];
test.each(refused)('%s is refused', async (_name, yaml, node, message) => {
  await expect(start(yaml, { node })).rejects.toThrow(message);
});
