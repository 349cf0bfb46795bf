/**
 * A proxy as a process of its own: `node subject.ts NAME BACKEND_PORT WORKERS`. Prints its port. Each knows the same rule:
 * GET of /v1/... passes, everything else is answered with 403; the byte pump knows none.
 */
import { once } from 'node:events';
import { Agent, createServer, request } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { encodeDiscoveryResponse, ProxyServer } from '@ciliate/envoy';

const [, , name, backend, workers] = process.argv;
const port = Number(backend);

/** What most would write. */
async function plain(): Promise<number> {
  const agent = new Agent({ keepAlive: true });
  const server = createServer((incoming, response) => {
    if (incoming.method !== 'GET' || !/^\/v1\/.*$/.test(incoming.url!)) {
      response.writeHead(403, { 'content-type': 'text/plain' }).end('Access denied\r\n');
      return;
    }
    const { method, url: path, headers } = incoming;
    const outgoing = request({ host: '127.0.0.1', port, method, path, headers, agent }, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(response);
    });
    outgoing.on('error', () => response.writeHead(503).end());
    incoming.pipe(outgoing);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** The floor: what Node can carry. */
async function pump(): Promise<number> {
  const server = createTcpServer({ noDelay: true }, (down) => {
    const up = connect({ host: '127.0.0.1', port, noDelay: true });
    down.on('data', (bytes) => up.write(bytes));
    up.on('data', (bytes) => down.write(bytes));
    const close = (): void => {
      down.destroy();
      up.destroy();
    };
    for (const socket of [down, up]) socket.on('error', close).on('close', close);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function ciliate(log: boolean): Promise<number> {
  let entries = 0;
  const proxy = await ProxyServer.start({
    seed: 1,
    workers: Number(workers),
    ...(log && { onAccessLog: (batch) => (entries += batch.length) }),
  });
  const headers = [
    { name: ':method', stringMatch: { safeRegex: { regex: 'GET' } } },
    { name: ':path', stringMatch: { safeRegex: { regex: '/v1/.*' } } },
  ];
  const rules = [{ name: 'bench', remotePolicies: [1001], httpRules: { httpRules: [{ headers }] } }];
  const policy = { endpointIps: ['10.0.0.7'], endpointId: 7, ingressPerPortPolicies: [{ port: 80, rules }] };
  const answer = await proxy.applyPolicy(encodeDiscoveryResponse('1', [policy]));
  if (!answer.ack) throw new Error(answer.reason);
  const at = { ip: 0x7f000001, port };
  const connection = {
    id: 0,
    endpointId: 7,
    ingress: true,
    remoteIdentity: 1001,
    localPort: 80,
    source: at,
    destination: at,
  };
  return proxy.listen({ name: 'bench', assume: { connection, via: undefined } });
}

const SUBJECTS: Record<string, () => Promise<number>> = {
  'node-http': plain,
  'byte-pump': pump,
  ciliate: () => ciliate(true),
  'ciliate-no-log': () => ciliate(false),
};
console.log(await SUBJECTS[name!]!());
process.on('SIGTERM', () => process.exit(0)); // lets a profile be written
