import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent } from '@ciliate/agent';
import { decodeObjects, ObjectStore } from '@ciliate/k8s';
import { type IpAddress, PcapngWriter, parseIp, parseIpv4 } from '@ciliate/packet';
import { pino } from 'pino';
import { afterAll } from 'vitest';

/** @returns a folder for this test file, gone when its tests are done */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ciliate-replay-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  return folder;
}

export const ip = (text: string): number => parseIpv4(text)!;
export const ip6 = (text: string): IpAddress => parseIp(text)!;

const pod = (name: string, address: string, app: string): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: ${app} } }
spec: { containers: [{ name: main, ports: [{ containerPort: 80 }] }] }
status: { podIP: ${address}, hostIP: 192.168.1.1 }
---`;

const service = (name: string, address: string, port: number, protocol: string): string => `
apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec:
  clusterIP: ${address}
  selector: { app: web }
  ports: [{ port: ${port}, targetPort: ${port}, protocol: ${protocol} }]
---`;

/** Two clients, two servers that are behind two services and one another, and a third pod that may not reach them. */
export const CLUSTER = [
  pod('client-1', '10.0.0.1', 'client'),
  pod('client-2', '10.0.0.2', 'client'),
  pod('stranger', '10.0.0.3', 'stranger'),
  pod('web-1', '10.0.0.11', 'web'),
  pod('web-2', '10.0.0.12', 'web'),
  service('web', '10.96.0.1', 80, 'TCP'),
  service('dns', '10.96.0.2', 53, 'UDP'),
].join('');

export const POLICY = `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: web }
spec:
  endpointSelector: { matchLabels: { app: web } }
  ingress:
    - fromEndpoints: [{ matchLabels: { app: client } }, { matchLabels: { app: web } }]
    - fromEntities: [world]
`;

const dual = (name: string, addresses: readonly string[], app: string): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: ${app} } }
spec: { containers: [{ name: main, ports: [{ containerPort: 80 }] }] }
status:
  podIP: "${addresses[0]}"
  podIPs: [${addresses.map((one) => `{ ip: "${one}" }`).join(', ')}]
  hostIP: 192.168.1.1
  hostIPs: [{ ip: 192.168.1.1 }, { ip: "fd00:1::1" }]
---`;

/** As `CLUSTER`, with pods that have both families, in either order, and one that has IPv6 alone. */
export const DUAL_STACK = [
  dual('client-1', ['10.0.0.1', 'fd00::1'], 'client'),
  dual('client-2', ['10.0.0.2'], 'client'),
  dual('stranger', ['fd00::3'], 'stranger'),
  dual('web-1', ['fd00::11', '10.0.0.11'], 'web'),
  dual('web-2', ['10.0.0.12', 'fd00::12'], 'web'),
  `
apiVersion: v1
kind: Service
metadata: { name: web }
spec:
  clusterIP: 10.96.0.1
  clusterIPs: [10.96.0.1, "fd00:96::1"]
  ipFamilies: [IPv4, IPv6]
  ipFamilyPolicy: RequireDualStack
  selector: { app: web }
  ports: [{ port: 80, targetPort: 80 }]
---`,
].join('');

/** An agent that is stopped when the file's tests are done. */
export async function startAgent(yaml: string, seed = 1): Promise<Agent> {
  const store = new ObjectStore();
  for (const object of decodeObjects(yaml, 'cluster.yaml')) store.apply(object);
  const agent = await Agent.start({ store, seed, log: pino({ level: 'silent' }) });
  afterAll(() => agent.stop());
  return agent;
}

/** A capture with one packet a microsecond, each on the interface of this name. */
export function writeCapture(path: string, packets: readonly (readonly [name: string, frame: Uint8Array])[]): void {
  using out = new PcapngWriter(path);
  const ids = new Map<string, number>();
  packets.forEach(([name, data], i) => {
    if (!ids.has(name)) ids.set(name, out.addInterface({ name }));
    out.write({ interfaceId: ids.get(name)!, timestampNs: 1_700_000_000_000_000_000n + BigInt(i) * 1000n, data });
  });
}
