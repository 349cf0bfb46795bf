import { readFileSync } from 'node:fs';
import { decodeDiscoveryResponse, type NetworkPolicy, type Secret } from '@ciliate/envoy';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { type PolicyReceiver, PROXY_PORT_HTTP, PROXY_PORT_TLS } from '../src/index.ts';
import { Cluster, pod, policy } from './cluster.ts';

const TLS = JSON.parse(readFileSync(new URL('fixtures/tls.json', import.meta.url), 'utf8')) as {
  readonly ca: string;
  readonly certificateChain: string;
  readonly privateKey: string;
};
const TWO = pod('web', '10.0.0.1', 'web') + pod('client', '10.0.0.2', 'client');
const HTTP = 'rules: { http: [{ method: GET }] }';
const egress = (toPorts: string): string =>
  policy(`endpointSelector: { matchLabels: { app: client } }
  egress: [{ toEndpoints: [{ matchLabels: { app: web } }], toPorts: [{ ports: [{ port: "443", protocol: TCP }], ${toPorts} }] }]`);
const secret = (name: string, data: Readonly<Record<string, string>>): string => `
apiVersion: v1
kind: Secret
metadata: { name: ${name} }
stringData: ${JSON.stringify(data)}
---`;
const PAIR = secret('pair', { 'tls.crt': TLS.certificateChain, 'tls.key': TLS.privateKey });
const CA = secret('ca', { 'ca.crt': TLS.ca });
const BOTH = `terminatingTLS: { secret: { namespace: default, name: pair } }, originatingTLS: { secret: { namespace: default, name: ca } }`;

/** A proxy that takes everything. */
class Receiver implements PolicyReceiver {
  policies: readonly NetworkPolicy[] = [];
  secrets: readonly Secret[] = [];
  readonly order: string[] = [];

  applyPolicy(response: Uint8Array): Promise<{ ack: true }> {
    this.order.push('policies');
    this.policies = decodeDiscoveryResponse(response).policies!;
    return Promise.resolve({ ack: true });
  }

  applySecrets(response: Uint8Array): Promise<{ ack: true }> {
    this.order.push('secrets');
    this.secrets = decodeDiscoveryResponse(response).secrets!;
    return Promise.resolve({ ack: true });
  }

  get rule(): object {
    return this.policies[0]!.egressPerPortPolicies![0]!.rules![0]!;
  }
}

const running: Cluster[] = [];
afterEach(() => Promise.all(running.splice(0).map(({ agent }) => agent.stop())));
const lines: string[] = [];
async function start(yaml: string): Promise<{ cluster: Cluster; proxy: Receiver }> {
  const proxy = new Receiver();
  lines.length = 0;
  const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(JSON.parse(line).msg) });
  const cluster = await Cluster.start(yaml, { proxies: [proxy], log });
  running.push(cluster);
  return { cluster, proxy };
}
const portsOf = ({ agent }: Cluster): number[] =>
  agent
    .endpointOfPod('client')!
    .policyMap.entries()
    .filter(({ proxyPort }) => proxyPort > 0)
    .map(({ proxyPort }) => proxyPort);

test('names of servers redirect to the listener for TLS, and the proxy knows them', async () => {
  const { cluster, proxy } = await start(TWO + egress('serverNames: [b.test, "*.a.test"]'));
  expect(portsOf(cluster)).toEqual([PROXY_PORT_TLS]);
  expect(proxy.rule).toMatchObject({ serverNames: ['*.a.test', 'b.test'] });
});

test('a context names the copies of secrets that the proxy has, and it has them before', async () => {
  const { cluster, proxy } = await start(
    TWO + PAIR + CA + secret('unrelated', { a: 'b' }) + egress(`${BOTH}, ${HTTP}`),
  );
  expect(portsOf(cluster)).toEqual([PROXY_PORT_HTTP]);
  expect(proxy.rule).toMatchObject({
    downstreamTlsContext: { tlsSdsSecret: 'cilium-secrets/default-pair' },
    upstreamTlsContext: { validationContextSdsSecret: 'cilium-secrets/default-ca' },
  });
  expect(proxy.secrets).toEqual([
    { name: 'cilium-secrets/default-ca', validationContext: { trustedCa: TLS.ca } },
    {
      name: 'cilium-secrets/default-pair',
      tlsCertificate: { certificateChain: TLS.certificateChain, privateKey: TLS.privateKey },
    },
  ]);
  expect(proxy.order).toEqual(['secrets', 'policies']);
  expect(lines).toEqual([]);
});

test('a secret that is missing is told, the policy holds without it, and it is there when it comes', async () => {
  const { cluster, proxy } = await start(TWO + CA + egress(`${BOTH}, ${HTTP}`));
  expect(lines).toEqual([
    'CiliumNetworkPolicy p: spec.egress[0].toPorts[0].terminatingTLS: there is no Secret default/pair: connections that need it fail until it comes',
  ]);
  expect(portsOf(cluster)).toEqual([PROXY_PORT_HTTP]);
  await cluster.apply(PAIR);
  expect(proxy.secrets.map(({ name }) => name)).toEqual(['cilium-secrets/default-ca', 'cilium-secrets/default-pair']);
  await cluster.delete('Secret', 'pair');
  expect(proxy.secrets.map(({ name }) => name)).toEqual(['cilium-secrets/default-ca']);
});

test('without a namespace no secret is found, as in Cilium, and that is said', async () => {
  const { proxy } = await start(TWO + PAIR + egress('terminatingTLS: { secret: { name: pair } }'));
  expect(proxy.secrets).toEqual([]);
  expect(lines).toEqual([expect.stringContaining('looked for by the namespace written here, and there is none')]);
});

const bad: [what: string, secrets: string, reason: string][] = [
  ['no certificate', secret('pair', { a: 'b' }) + CA, 'neither tls.crt nor tls.key, which terminatingTLS needs'],
  [
    'only a key',
    secret('pair', { 'tls.key': TLS.privateKey }) + CA,
    'secret cilium-secrets/default-pair: missing certificate chain',
  ],
  [
    'text that is no certificate',
    secret('pair', { 'tls.crt': 'hi', 'tls.key': TLS.privateKey }) + CA,
    'secret cilium-secrets/default-pair.certificate_chain: no certificate in PEM',
  ],
  ['no CA', PAIR + secret('ca', { 'tls.CRT': 'x' }), 'no ca.crt, which originatingTLS needs'],
  [
    'a CA beside a certificate',
    PAIR + secret('ca', { 'ca.crt': TLS.ca, 'tls.crt': 'x' }),
    'ca.crt does not count beside tls.crt or tls.key: originatingTLS needs a secret without those',
  ],
];
test.each(bad)('%s is refused with the place of the secret; all else is in force', async (_what, secrets, reason) => {
  const { cluster, proxy } = await start(TWO);
  await expect(cluster.apply(`${secrets}${egress(`${BOTH}, ${HTTP}`)}`)).rejects.toMatchObject({
    code: 'BAD_INPUT',
    message: expect.stringMatching(/^objects.yaml:\d+:\d+: data: /),
  });
  await expect(cluster.apply(`${secrets}${egress(`${BOTH}, ${HTTP}, serverNames: [a]`)}`)).rejects.toThrow(reason);
  expect(portsOf(cluster)).toEqual([PROXY_PORT_HTTP]);
  expect(proxy.secrets).toHaveLength(1);
});
