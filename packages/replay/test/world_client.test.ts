import { Agent } from '@ciliate/agent';
import { decodeObjects, ObjectStore } from '@ciliate/k8s';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { judge, type VerdictQuestion } from '../src/index.ts';
import { DUAL_STACK, ip, ip6 } from './support.ts';

// Clients outside of the cluster: their packets come in by the node's device, and answers leave by it.

const NODE_PORT = `
apiVersion: v1
kind: Service
metadata: { name: open }
spec:
  type: NodePort
  clusterIP: 10.96.0.9
  selector: { app: web }
  ports: [{ port: 80, targetPort: 80, nodePort: 30080 }]
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: web }
spec:
  endpointSelector: { matchLabels: { app: web } }
  ingress:
    - fromCIDR: [198.18.0.0/16, "2001:2::/48"]
      toPorts: [{ ports: [{ port: "80", protocol: TCP }] }]
    - fromCIDR: [198.19.0.0/16]
      toPorts: [{ ports: [{ port: "80", protocol: TCP }], rules: { http: [{ method: GET }] } }]
---`;

let agent: Agent;
beforeAll(async () => {
  const store = new ObjectStore();
  for (const object of decodeObjects(`${DUAL_STACK}${NODE_PORT}`, 'cluster.yaml')) store.apply(object);
  agent = await Agent.start({ store, seed: 1, log: pino({ level: 'silent' }), enableIpv6Masquerade: true });
});
afterAll(() => agent.stop());

const FRIEND = ip('198.18.0.9');
const READER = ip('198.19.0.9');
const STRANGER = ip('203.0.113.9');
const POD = ip('10.0.0.12');
const get = { method: 'GET', target: '/', host: 'web' };
const put = { ...get, method: 'PUT' };
const to = (address: VerdictQuestion['server']['address'], port = 80) => ({ server: { address, port } });

const rows: [name: string, ask: () => Partial<VerdictQuestion>, want: object][] = [
  ['a rule lets the address in', () => ({ client: FRIEND, ...to(POD), http: get }), { sees: 'HTTP 200' }],
  ['no rule does', () => ({ client: STRANGER, ...to(POD) }), { outcome: 'dropped', dropCode: 133 }],
  [
    'over IPv6, with masquerading: an answer keeps the address that was asked',
    () => ({ client: ip6('2001:2::9'), ...to(ip6('fd00::12')) }),
    { outcome: 'answered', sees: 'connected' },
  ],
  [
    'a rule about HTTP allows the request',
    () => ({ client: READER, ...to(POD), http: get }),
    { verdict: 'REDIRECTED', sees: 'HTTP 200' },
  ],
  ['or refuses it', () => ({ client: READER, ...to(POD), http: put }), { outcome: 'http-403', sees: /^HTTP 403/ }],
  [
    'a port of the node: the answer comes from there',
    () => ({ client: FRIEND, ...to(ip('192.168.1.1'), 30_080), http: get }),
    { sees: 'HTTP 200', destination: 'default/open:30080' },
  ],
  [
    'and policy holds behind it',
    () => ({ client: STRANGER, ...to(ip('192.168.1.1'), 30_080) }),
    { outcome: 'dropped', dropCode: 133 },
  ],
  [
    'an address of the cluster alone is none for them',
    () => ({ client: FRIEND, ...to(ip('10.96.0.9')) }),
    { outcome: 'dropped', dropCode: 174 },
  ],
  ['a datagram', () => ({ client: FRIEND, ...to(ip('10.0.0.2')), transport: 'UDP' }), { sees: '2 bytes' }],
];

test.each(rows)('%s', async (_name, ask, want) => {
  const asked = { transport: 'TCP', ...ask() } as VerdictQuestion;
  const pod = agent.endpointOfAddress(asked.server.address) ?? agent.endpointOfPod('web-2')!;
  const verdict = await judge(agent, { ...asked, answering: { pod, port: 80 } });
  const { sees, ...rest } = want as { sees?: string | RegExp };
  expect(verdict).toMatchObject(rest);
  if (sees !== undefined) expect(verdict.sees).toMatch(sees);
});
