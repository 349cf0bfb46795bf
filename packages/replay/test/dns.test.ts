import { Agent, type Endpoint, podName } from '@ciliate/agent';
import { decodeObjects, ObjectStore } from '@ciliate/k8s';
import { type IpAddress, parseIp, udpDatagram } from '@ciliate/packet';
import { encode } from 'dns-packet';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { replayConversations, type TracePacket } from '../src/index.ts';

const POD = (name: string, ip: string): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: ${name} } }
spec: { containers: [{ name: main }] }
status: { podIP: "${ip}" }
---`;
const RULES = `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: p }
spec:
  endpointSelector: { matchLabels: { app: client } }
  egress:
    - toEndpoints: [{ matchLabels: { app: dns } }]
      toPorts: [{ ports: [{ port: "53", protocol: ANY }], rules: { dns: [{ matchName: a.example }] } }]
    - toFQDNs: [{ matchName: a.example }]
`;

const families = {
  IPv4: { client: '10.0.0.2', dns: '10.0.0.53', told: '192.0.2.7', type: 'A' },
  IPv6: { client: 'fd00::2', dns: 'fd00::53', told: '2001:db8::7', type: 'AAAA' },
} as const;
type Family = (typeof families)[keyof typeof families];

const scenarios: [what: string, policy: string, name: string, outcomes: string[], sees: string | undefined][] = [
  ['no policy: the answer arrives', '', 'a.example', ['answered', 'forwarded'], undefined],
  [
    'an allowed name is answered, and its address may be reached',
    RULES,
    'a.example',
    ['answered', 'forwarded'],
    undefined,
  ],
  [
    'another name is refused, and its address never learnt',
    RULES,
    'b.example',
    ['refused', 'unresolved'],
    'DNS REFUSED',
  ],
];
const rows = Object.entries(families).flatMap(([version, family]) =>
  scenarios.map(([what, ...rest]) => [`${version}, ${what}`, family, ...rest] as const),
);
test.each(rows)('%s', async (_what, family, policy, name, outcomes, sees = family.told) => {
  const store = new ObjectStore();
  const yaml = POD('client', family.client) + POD('dns', family.dns) + policy;
  for (const object of decodeObjects(yaml, 'objects.yaml')) store.apply(object);
  const agent = await Agent.start({ store, seed: 1, log: pino({ level: 'silent' }) });
  try {
    const { rows } = await replayConversations(agent, lookupThenSend(agent, name, family));
    expect(rows.map(({ outcome }) => outcome)).toEqual(outcomes);
    expect(rows[0]!.sees).toBe(sees);
  } finally {
    await agent.stop();
  }
});

/** The client asks for the name, is told an address, and sends a datagram there. */
function lookupThenSend(agent: Agent, name: string, { told, type }: Family): TracePacket[] {
  const [client, dns] = ['client', 'dns'].map((pod) => agent.endpointOfPod(pod)!) as [Endpoint, Endpoint];
  const questions = [{ name, type }];
  const answers = [{ name, type, data: told, ttl: 30 }];
  const query = encode({ type: 'query', id: 7, questions });
  const answer = encode({ type: 'response', id: 7, questions, answers });
  const to = (port: number, dst: IpAddress) => ({ src: client.address, srcPort: port, dst });
  const sent: [from: Endpoint, data: Uint8Array][] = [
    [client, udpDatagram({ ...to(40_000, dns.address), dstPort: 53, payload: query })],
    [dns, udpDatagram({ src: dns.address, srcPort: 53, dst: client.address, dstPort: 40_000, payload: answer })],
    [client, udpDatagram({ ...to(40_001, parseIp(told)!), dstPort: 443, payload: Uint8Array.of(1) })],
  ];
  return sent.map(([from, data], i) => ({
    ...{ number: i + 1, timestampNs: BigInt(i + 1) * 1_000_000_000n, data, interfaceName: podName(from) },
  }));
}
