import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cluster, playConnection, podYaml, setPolicies, startCluster } from './cluster.ts';

/**
 * The first laws: of a client that is denied at L3/L4 no byte reaches the proxy or the server, and nothing reaches the
 * client; a request that no HTTP rule matches gets exactly one 403, and the server nothing; what is allowed gets the
 * server's answer. Never two of these.
 */
const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const ORGS = ['empire', 'alliance'];
const TIERS = ['front', 'back'];
const SERVER = 'server';
const VIP = 0x0a600050;
const clients = ORGS.flatMap((org) => TIERS.map((tier) => ({ name: `${org}-${tier}`, labels: { org, tier } })));

let cluster: Cluster;
beforeAll(async () => {
  const pods = clients.map(({ name, labels }, index) => podYaml(name, `10.0.0.${index + 1}`, labels)).join('\n');
  const service = `
apiVersion: v1
kind: Service
metadata: { name: ${SERVER} }
spec: { clusterIP: 10.96.0.80, selector: { app: ${SERVER} }, ports: [{ port: 80 }] }`;
  cluster = await startCluster(`${pods}${podYaml(SERVER, '10.0.0.100', { app: SERVER })}${service}`, seed);
});
afterAll(() => cluster.agent.stop());

interface HttpRule {
  method?: string;
  path?: string;
}
interface Rule {
  from: Partial<Record<'org' | 'tier', string>>;
  port: number;
  http: HttpRule[] | undefined;
}

const METHODS = ['GET', 'POST', 'PUT'];
const PATHS = ['/', '/v1/a', '/v1/b?x=1'];
const http: fc.Arbitrary<HttpRule> = fc.record(
  { method: fc.constantFrom(...METHODS, 'GET|POST'), path: fc.constantFrom('/', '/v1/a', '/v1/.*', '/v1/b') },
  { requiredKeys: [] },
);
const rule: fc.Arbitrary<Rule> = fc.record({
  from: fc.record({ org: fc.constantFrom(...ORGS), tier: fc.constantFrom(...TIERS) }, { requiredKeys: [] }),
  port: fc.constantFrom(80, 80, 80, 8080),
  http: fc.option(fc.array(http, { minLength: 1, maxLength: 3 }), { nil: undefined }),
});
const scenario = fc.record({
  client: fc.constantFrom(...clients),
  rules: fc.array(rule, { maxLength: 4 }),
  method: fc.constantFrom(...METHODS),
  target: fc.constantFrom(...PATHS),
  byService: fc.boolean(),
});
type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never;

/** The plain model: what must happen, straight from the rules. */
function lawOf({ client, rules, method, target }: Scenario): 'answered' | 'dropped' | '403' {
  if (rules.length === 0) return 'answered';
  const selected = rules.filter(
    ({ from, port }) =>
      port === 80 && Object.entries(from).every(([key, value]) => client.labels[key as 'org' | 'tier'] === value),
  );
  if (selected.length === 0) return 'dropped';
  const full = (pattern: string | undefined, text: string): boolean =>
    pattern === undefined || new RegExp(`^(?:${pattern})$`).test(text);
  const passes = selected.some(
    (one) => one.http === undefined || one.http.some((h) => full(h.method, method) && full(h.path, target)),
  );
  return passes ? 'answered' : '403';
}

function policyYaml(rules: readonly Rule[]): string {
  if (rules.length === 0) return '';
  const ingress = rules.map(({ from, port, http }) => ({
    fromEndpoints: [{ matchLabels: from }],
    toPorts: [{ ports: [{ port: `${port}`, protocol: 'TCP' }], ...(http === undefined ? {} : { rules: { http } }) }],
  }));
  return JSON.stringify({
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumNetworkPolicy',
    metadata: { name: 'law' },
    spec: { endpointSelector: { matchLabels: { app: SERVER } }, ingress },
  });
}

const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nlanded';

test('denied, answered and 403 are three different things, and each happens exactly when the rules say', async () => {
  const counts = { answered: 0, dropped: 0, 403: 0 };
  await fc.assert(
    fc.asyncProperty(scenario, async (asked) => {
      const { agent } = cluster;
      await setPolicies(cluster, policyYaml(asked.rules));
      const server = agent.endpointOfPod(SERVER)!;
      const text = new TextEncoder();
      const player = await playConnection(cluster, {
        client: agent.endpointOfPod(asked.client.name)!,
        server: { address: asked.byService ? VIP : server.address, port: 80 },
        answering: { pod: server, port: 80 },
        transport: 'TCP',
        request: text.encode(
          `${asked.method} ${asked.target} HTTP/1.1\r\nhost: ${SERVER}\r\ncontent-length: 0\r\n\r\n`,
        ),
        response: text.encode(ANSWER),
      });
      const seen = new TextDecoder().decode(player.atClient.bytes);
      const answers = seen.match(/HTTP\/1\.1 \d+/g) ?? [];
      const law = lawOf(asked);
      counts[law]++;
      if (law === 'dropped') {
        expect(player.drop?.code).toBe(133);
        expect(player.reached).toEqual({ proxy: 0, server: 0 });
        expect(player.atClient.isn).toBeUndefined(); // not even a SYN-ACK
      } else if (law === '403') {
        expect(answers).toEqual(['HTTP/1.1 403']);
        expect(seen.endsWith('\r\n\r\nAccess denied\r\n')).toBe(true);
        expect(player.reached.server).toBe(0);
      } else {
        expect(answers).toEqual(['HTTP/1.1 200']);
        expect(seen.endsWith('\r\n\r\nlanded')).toBe(true);
        expect(player.reached.server).toBeGreaterThan(0);
      }
    }),
    { seed, numRuns: 300 },
  );
  console.log(`laws held: ${counts.answered} answered, ${counts.dropped} dropped, ${counts[403]} refused with 403`);
  expect(Math.min(...Object.values(counts))).toBeGreaterThan(0);
});
