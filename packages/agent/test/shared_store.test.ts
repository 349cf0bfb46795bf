import { EmbeddedStore, valueText } from '@ciliate/kvstore';
import { IpcacheMap } from '@ciliate/maps';
import { formatIp, parseIp } from '@ciliate/packet';
import { afterEach, expect, test } from 'vitest';
import type { AgentOptions } from '../src/index.ts';
import { Cluster, policy } from './cluster.ts';

const SECOND = 1_000_000_000n;
const pod = (name: string, ips: string[], node: string, more = ''): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: ${name} } }
spec: { containers: [{ name: main${more} }] }
status: { podIPs: [${ips.map((ip) => `{ ip: "${ip}" }`)}], podIP: "${ips[0]}", hostIP: ${node} }
---`;

const started: Cluster[] = [];
afterEach(async () => {
  for (const cluster of started.splice(0)) await cluster.agent.stop();
});

function shared() {
  const clock = { now: 0n };
  const store = new EmbeddedStore({ nowNs: () => clock.now });
  const client = store.client();
  const agent = async (yaml: string, options: Partial<AgentOptions> = {}) => {
    const cluster = await Cluster.start(yaml, { kvstore: store.client(), ...options });
    started.push(cluster);
    return cluster;
  };
  const dump = async (prefix: string) =>
    Object.fromEntries((await client.getPrefix(prefix)).entries.map((e) => [e.key, valueText(e)]));
  return { clock, store, client, agent, dump };
}

/** Waits for watches, which tell in their own time. */
async function eventually<T>(look: () => T, want: T): Promise<void> {
  for (let i = 0; i < 200; i++) {
    try {
      expect(look()).toEqual(want);
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  expect(look()).toEqual(want);
}

/** `10.0.0.2 → 256 via 192.168.1.2`. */
function shown({ agent }: Cluster, ...addresses: string[]): string[] {
  const map = IpcacheMap.open(agent.memory);
  return addresses.map((text) => {
    const { identity, tunnelEndpoint } = map.lookup(parseIp(text)!)!;
    return `${text} → ${identity}${tunnelEndpoint === 0 ? '' : ` via ${formatIp(tunnelEndpoint)}`}`;
  });
}

const IP = 'cilium/state/ip/v1/default/';

test('entries stand in the store as Cilium writes them, on a lease of 900 s', async () => {
  const { agent, dump, client, clock, store } = shared();
  const { agent: one } = await agent(
    pod('web', ['10.0.0.1', 'fd00::1'], '192.168.1.1', ', ports: [{ name: http, containerPort: 80 }]'),
  );
  const identity = one.endpoints[0]!.identity;
  const rest =
    `"HostIP":"192.168.1.1","ID":${identity},"Key":0,"Metadata":"cilium-global:default:node-1:1",` +
    `"K8sNamespace":"default","K8sPodName":"web","NamedPorts":[{"Name":"http","Port":80,"Protocol":"TCP"}]}`;
  expect(await dump(IP)).toEqual({
    [`${IP}10.0.0.1`]: `{"IP":"10.0.0.1","Mask":null,${rest}`,
    [`${IP}fd00::1`]: `{"IP":"fd00::1","Mask":null,${rest}`,
  });
  const nodes = await dump('cilium/state/nodes/v1/');
  expect(Object.keys(nodes)).toEqual(['cilium/state/nodes/v1/default/node-1']);
  expect(JSON.parse(Object.values(nodes)[0]!)).toMatchObject({
    ...{ Name: 'node-1', Cluster: 'default', ClusterID: 0, NodeIdentity: 1 },
    IPAddresses: [{ Type: 'InternalIP', IP: '192.168.1.1' }, expect.anything()],
  });
  clock.now = 901n * SECOND;
  store.expireLeases();
  expect((await client.getPrefix(IP)).entries).toEqual([]);
});

test('pods of another agent are known with their node as tunnel endpoint, until they go', async () => {
  const { agent, dump } = shared();
  const one = await agent(pod('web', ['10.0.0.1', 'fd00::1'], '192.168.1.1'));
  const two = await agent(
    pod('db', ['10.0.0.2', 'fd00::2'], '192.168.1.2').replace('spec: {', 'spec: { nodeName: n2,'),
  );
  const [web, db] = [one, two].map(({ agent: { endpoints } }) => endpoints[0]!.identity);
  await eventually(
    () => shown(one, '10.0.0.1', 'fd00::1', '10.0.0.2', 'fd00::2', '192.168.1.2'),
    [
      ...[`10.0.0.1 → ${web}`, `fd00::1 → ${web}`],
      ...[`10.0.0.2 → ${db} via 192.168.1.2`, `fd00::2 → ${db} via 192.168.1.2`, '192.168.1.2 → 6'],
    ],
  );
  await eventually(
    () => shown(two, '10.0.0.1', '192.168.1.1'),
    [`10.0.0.1 → ${web} via 192.168.1.1`, '192.168.1.1 → 6'],
  );
  expect(one.agent.resolver.endpointOf(parseIp('10.0.0.2')!)).toEqual({
    ...{ id: 0, identity: db, namespace: 'default', podName: 'db' },
  });
  await two.delete('Pod', 'db');
  await eventually(() => shown(one, '10.0.0.2', 'fd00::2'), ['10.0.0.2 → 9', 'fd00::2 → 10']);
  expect(Object.keys(await dump(IP))).toEqual([`${IP}10.0.0.1`, `${IP}fd00::1`]);
});

test('policy selects pods of other agents by their labels', async () => {
  const { agent } = shared();
  const allow = policy(
    '{ endpointSelector: { matchLabels: { app: web } }, ingress: [{ fromEndpoints: [{ matchLabels: { app: db } }] }] }',
  );
  const one = await agent(pod('web', ['10.0.0.1'], '192.168.1.1') + allow);
  const two = await agent(pod('db', ['10.0.0.2'], '192.168.1.2'));
  const db = two.agent.endpoints[0]!.identity;
  const allowed = () => [...one.agent.endpoints[0]!.policyMap.entries()].some(({ identity }) => identity === db);
  await eventually(allowed, true);
});

test('an address that moves to another agent: the one that lost it does not take it away', async () => {
  const { agent, dump } = shared();
  const one = await agent(pod('web', ['10.0.0.1'], '192.168.1.1'));
  const two = await agent(pod('db', ['10.0.0.2'], '192.168.1.2') + pod('new', ['10.0.0.1'], '192.168.1.2'));
  const moved = two.agent.endpointOfPod('new')!.identity;
  expect(JSON.parse((await dump(IP))[`${IP}10.0.0.1`]!)).toMatchObject({ HostIP: '192.168.1.2', ID: moved });
  await one.delete('Pod', 'web');
  await eventually(() => shown(one, '10.0.0.1'), [`10.0.0.1 → ${moved} via 192.168.1.2`]);
  expect(JSON.parse((await dump(IP))[`${IP}10.0.0.1`]!)).toMatchObject({ HostIP: '192.168.1.2', ID: moved });
});

test('an entry that somebody deletes is written again by the agent whose pod it is', async () => {
  const { agent, client, dump } = shared();
  await agent(pod('web', ['10.0.0.1'], '192.168.1.1'));
  const before = await dump(IP);
  await client.delete(`${IP}10.0.0.1`);
  let after = {};
  for (let i = 0; i < 100 && Object.keys(after).length === 0; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    after = await dump(IP);
  }
  expect(after).toEqual(before);
});

test('entries that make no sense are ignored; the host of another agent is a remote node', async () => {
  const { agent, client } = shared();
  const one = await agent(pod('web', ['10.0.0.1'], '192.168.1.1'));
  const pair = (ip: string, id: number) =>
    `{"IP":"${ip}","Mask":null,"HostIP":"192.168.1.9","ID":${id},"Key":0,"Metadata":""}`;
  await client.put(`${IP}10.0.0.7`, 'no JSON');
  await client.put(`${IP}10.0.0.8`, pair('10.0.0.9', 300));
  await client.put(`${IP}10.0.0.9`, pair('10.0.0.9', 1));
  await eventually(() => shown(one, '10.0.0.9', '10.0.0.8'), ['10.0.0.9 → 6 via 192.168.1.9', '10.0.0.8 → 2']);
});

test('an agent that was silent for too long is there again after it woke', async () => {
  const { agent, clock, store, dump } = shared();
  const { agent: one } = await agent(pod('web', ['10.0.0.1'], '192.168.1.1'));
  const before = await dump('cilium/state/');
  clock.now = 901n * SECOND;
  store.expireLeases();
  expect(Object.keys(await dump(IP))).toEqual([]);
  await one.syncKvstore();
  expect(await dump('cilium/state/')).toEqual(before);
});

test('an agent that stops takes what it told with it, and leaves the number to others', async () => {
  const { agent, dump } = shared();
  const one = await agent(pod('web', ['10.0.0.1'], '192.168.1.1'));
  const identity = one.agent.endpoints[0]!.identity;
  await started.pop()!.agent.stop();
  expect(Object.keys(await dump('cilium/'))).toEqual([`cilium/state/identities/v1/id/${identity}`]);
});

test('agents that would be taken for one another are refused', async () => {
  const { agent } = shared();
  await expect(agent(pod('web', ['10.0.0.1'], '').replace(', hostIP:', ''))).rejects.toMatchObject({
    code: 'BAD_INPUT',
    message: expect.stringContaining('give the pods a hostIP, or describe the node'),
  });
});

test('identities of a cluster with a number are in its own range', async () => {
  const { agent } = shared();
  const { agent: one } = await agent(pod('web', ['10.0.0.1'], '192.168.1.1'), { clusterId: 3 });
  expect(one.endpoints[0]!.identity >>> 16).toBe(3);
});
