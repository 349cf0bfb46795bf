import { decodeObjects, ObjectStore } from '@ciliate/k8s';
import { Memory, PolicyMap } from '@ciliate/maps';
import { type Logger, pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { Agent, PROXY_PORT_HTTP } from '../src/index.ts';
import { syncPolicyMap } from '../src/policymap_sync.ts';

const pod = (name: string, ip: string, app: string): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: ${app} } }
spec: { containers: [{ name: main }] }
status: { podIP: ${ip}, hostIP: 192.168.1.1 }
---`;
const CLUSTER = pod('web-1', '10.0.0.1', 'web') + pod('web-2', '10.0.0.2', 'web') + pod('client', '10.0.0.3', 'client');

const policy = (http: string): string => `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: web }
spec:
  endpointSelector: { matchLabels: { app: web } }
  ingress:
    - fromEndpoints: [{ matchLabels: { app: client } }]
      toPorts: [{ ports: [{ port: "80", protocol: TCP }]${http} }]
`;
const L4 = policy('');
const L7 = policy(', rules: { http: [{ method: GET }] }');

const running: Agent[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((agent) => agent.stop()));
});

async function start(
  yaml: string,
  log: Logger = pino({ level: 'silent' }),
): Promise<{ agent: Agent; store: ObjectStore }> {
  const store = new ObjectStore();
  apply(store, yaml);
  const agent = await Agent.start({ store, seed: 1, log });
  running.push(agent);
  return { agent, store };
}

const apply = (store: ObjectStore, yaml: string): void => {
  for (const object of decodeObjects(yaml, 'objects.yaml')) store.apply(object);
};

/** The ingress entries of the first web pod, in short. */
const ingressOf = (agent: Agent): string[] =>
  agent
    .endpointOfPod('web-1')!
    .policyMap.entries()
    .filter(({ egress }) => !egress)
    .map(({ identity, protocol, dport, proxyPort }) => `${identity} ${protocol}/${dport} ${proxyPort}`)
    .sort();

test('pods with the same labels share an identity, others have their own', async () => {
  const { agent } = await start(CLUSTER);
  const [client, web1, web2] = agent.endpoints.map(({ identity }) => identity);
  expect(web1).toBe(web2);
  expect(client).not.toBe(web1);
  expect(agent.identities.get(web1!)?.toStrings()).toContain('k8s:app=web');
});

test('a policy that comes, changes and goes is in force after settled()', async () => {
  const { agent, store } = await start(CLUSTER);
  const client = agent.endpointOfPod('client')!.identity;
  const open = ['0 0/0 0', '1 0/0 0'];
  expect(ingressOf(agent)).toEqual(open);
  apply(store, L4);
  await agent.settled();
  expect(ingressOf(agent)).toEqual(['1 0/0 0', `${client} 6/80 0`]);
  apply(store, L7);
  await agent.settled();
  expect(ingressOf(agent)).toEqual(['1 0/0 0', `${client} 6/80 ${PROXY_PORT_HTTP}`]);
  store.delete({ kind: 'CiliumNetworkPolicy', namespace: 'default', name: 'web' });
  await agent.settled();
  expect(ingressOf(agent)).toEqual(open);
});

test('only what changed is written to a policy map', async () => {
  const { agent } = await start(CLUSTER + L4);
  const { policyMap, policy: current } = agent.endpointOfPod('web-1')!;
  expect(syncPolicyMap(policyMap, current)).toEqual({ written: 0, removed: 0 });
  policyMap.update(
    { egress: false, identity: 9999, protocol: 0, dport: 0, portPrefixLen: 0 },
    {
      deny: false,
      proxyPort: 0,
      proxyPortPriority: 0,
      authType: 0,
      hasExplicitAuth: false,
    },
  );
  expect(syncPolicyMap(policyMap, current)).toEqual({ written: 0, removed: 1 });
});

test('a range that begins with port 0 is every port to the policy map, and stays there', () => {
  const map = PolicyMap.create(Memory.create(), 1);
  const key = { egress: false, identity: 1001, protocol: 6, dport: 0, portPrefixLen: 10 };
  const allow = { deny: false, redirect: false, proxyPortPriority: 0, authType: 0, authExplicit: false };
  const policy = { mapState: [{ key, ...allow }] } as unknown as Parameters<typeof syncPolicyMap>[1];
  expect(syncPolicyMap(map, policy)).toEqual({ written: 1, removed: 0 });
  expect(syncPolicyMap(map, policy)).toEqual({ written: 0, removed: 0 });
  expect(map.entries()).toMatchObject([{ identity: 1001, protocol: 6, dport: 0, portPrefixLen: 0 }]);
});

test('the agent logs what it does, as JSON lines', async () => {
  const lines: string[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) });
  const { agent, store } = await start(CLUSTER, log);
  const messages = () => lines.splice(0).map((line) => JSON.parse(line).msg);
  expect(messages().at(-1)).toBe('agent started');
  apply(store, L7);
  await agent.settled();
  // Only the two that the policy selects.
  expect(messages()).toEqual(['proxy acknowledged', 'endpoint regenerated', 'endpoint regenerated']);
});

test('a policy that cannot be is refused with its place when the agent starts', async () => {
  const bad = policy(', rules: { http: [{ path: "/v1/[" }] }');
  await expect(start(CLUSTER + bad)).rejects.toMatchObject({ code: 'BAD_INPUT', message: /^objects\.yaml:\d+:\d+: / });
});

test('a policy that the proxy refuses changes nothing, and the next good one is in force', async () => {
  const { agent, store } = await start(CLUSTER + L7);
  const before = ingressOf(agent);
  apply(store, policy(', rules: { http: [{ host: "shop[" }] }')); // Cilium does not check the expression for hosts itself
  await expect(agent.settled()).rejects.toThrow(
    /the proxy refused the policy, the last one stays: .*missing closing.*, in CiliumNetworkPolicy default\/web ingress\[0\] \(objects\.yaml:8\)/,
  );
  expect(ingressOf(agent)).toEqual(before);
  apply(store, L4);
  await agent.settled();
  expect(ingressOf(agent)).not.toEqual(before);
});

test('the node and the world have identities too', async () => {
  const { agent } = await start(CLUSTER);
  expect(agent.nodeAddresses).toEqual([0xc0a80101]);
  expect(agent.endpointOfAddress(0xc0a80101)).toBeUndefined();
});
