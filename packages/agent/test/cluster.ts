import { decodeObjects, type ObjectRef, ObjectStore } from '@ciliate/k8s';
import { type Logger, pino } from 'pino';
import { Agent, type AgentOptions } from '../src/index.ts';

/** An agent and the objects it watches. */
export class Cluster {
  readonly store = new ObjectStore();
  agent!: Agent;

  static async start(yaml: string, options: Partial<AgentOptions> & { log?: Logger } = {}): Promise<Cluster> {
    const cluster = new Cluster();
    cluster.note(yaml);
    const log = pino({ level: 'silent' });
    cluster.agent = await Agent.start({ store: cluster.store, seed: 1, log, ...options });
    return cluster;
  }

  /** Without waiting. */
  note(yaml: string): void {
    for (const object of decodeObjects(yaml, 'objects.yaml')) this.store.apply(object);
  }

  async apply(yaml: string): Promise<void> {
    this.note(yaml);
    await this.agent.settled();
  }

  async delete(kind: ObjectRef['kind'], name: string, namespace = 'default'): Promise<void> {
    this.store.delete({ kind, namespace, name });
    await this.agent.settled();
  }
}

export const pod = (name: string, ip: string, app: string, port = ''): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: ${app} } }
spec: { containers: [{ name: main${port} }] }
status: { podIP: ${ip}, hostIP: 192.168.1.1 }
---`;

/** @param spec in one line or indented by two */
export const policy = (spec: string, name = 'p'): string => `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: ${name} }
spec:
  ${spec}
---`;
