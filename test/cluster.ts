import { Agent, type AgentOptions } from '@ciliate/agent';
import { decodeObjects, ObjectStore } from '@ciliate/k8s';
import { playTrace, type Question, synthesize, TcpPlayer } from '@ciliate/replay';
import { pino } from 'pino';
import { formatCompact } from '../packages/hubble/src/index.ts';

/** A cluster for laws and scenarios: objects from YAML text, an agent on them, and connections played on it. */
export interface Cluster {
  store: ObjectStore;
  agent: Agent;
}

export async function startCluster(yaml: string, seed = 1, options: Partial<AgentOptions> = {}): Promise<Cluster> {
  const store = new ObjectStore();
  for (const object of decodeObjects(yaml, 'cluster.yaml')) store.apply(object);
  return { store, agent: await Agent.start({ store, seed, log: pino({ level: 'silent' }), ...options }) };
}

/** Puts these policies into force in place of all before. */
export async function setPolicies({ store, agent }: Cluster, yaml: string): Promise<void> {
  for (const kind of ['CiliumNetworkPolicy', 'NetworkPolicy'] as const)
    for (const { metadata } of store.list(kind))
      store.delete({ kind, namespace: metadata.namespace, name: metadata.name });
  if (yaml !== '') for (const object of decodeObjects(yaml, 'policy.yaml')) store.apply(object);
  await agent.settled();
}

/** Plays one connection from a clean conntrack. */
export const playConnection = async (cluster: Cluster, question: Question): Promise<TcpPlayer> =>
  (await watchConnection(cluster, question)).player;

/** The same, with the lines that Hubble would print. */
export async function watchConnection(
  { agent }: Cluster,
  question: Question,
): Promise<{ player: TcpPlayer; log: string[] }> {
  agent.flushConntrack();
  const { players, flows } = await playTrace(agent, synthesize(question));
  const player = players[0];
  if (!(player instanceof TcpPlayer)) throw new Error('not a TCP connection');
  return { player, log: flows.map(formatCompact) };
}

export const podYaml = (name: string, address: string, labels: Record<string, string>): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: ${JSON.stringify(labels)} }
spec: { containers: [{ name: main, ports: [{ containerPort: 80 }] }] }
status: { podIP: ${address} }
---`;
