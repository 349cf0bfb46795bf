import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { Certificate } from './declaration.ts';

/** Tells what was asked, as lines of text: method and path, headers, body. For everybody who asks anything. */
export const httpEcho = (pod: string): Server => createServer(echo(pod));

/** The same inside TLS. */
export const httpsEcho = (pod: string, certificate: Certificate): TlsServer => createTlsServer(certificate, echo(pod));

function echo(pod: string): RequestListener {
  return (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const headers = Object.entries(request.headers).map(([name, value]) => `${name}: ${value}`);
      const lines = [`${pod}: ${request.method} ${request.url}`, ...headers, '', Buffer.concat(chunks).toString()];
      response.setHeader('content-type', 'text/plain; charset=utf-8');
      response.end(`${lines.join('\n').trimEnd()}\n`);
    });
  };
}

const DESCRIPTION = {
  name: 'Death Star',
  hostname: 'deathstar',
  model: 'DS-1 Orbital Battle Station',
  manufacturer: 'Imperial Department of Military Research, Sienar Fleet Systems',
  cost_in_credits: '1000000000000',
  length: '120000',
  crew: '342953',
  passengers: '843342',
  cargo_capacity: '1000000000000',
  hyperdrive_rating: '4.0',
  starship_class: 'Deep Space Mobile Battlestation',
  api: [
    'GET   /v1',
    'GET   /v1/healthz',
    'POST  /v1/request-landing',
    'PUT   /v1/cargobay',
    'GET   /v1/hyper-matter-reactor/status',
    'PUT   /v1/exhaust-port',
  ],
};

const PANIC = `Panic: deathstar exploded

goroutine 1 [running]:
main.HandleGarbage(0x2080c3f50, 0x2, 0x4, 0x425c0, 0x5, 0xa)
        /code/src/github.com/empire/deathstar/
        temp/main.go:9 +0x64
main.main()
        /code/src/github.com/empire/deathstar/
        temp/main.go:5 +0x85
`;

/** The API of the Death Star, as in Cilium's demo. */
export function deathstar(): Server {
  return createServer((request, response) => {
    request.resume();
    request.on('end', () => answer(request, response));
  });
}

const ANSWERS: Readonly<Record<string, readonly [status: number, text: string]>> = {
  'GET /v1': [200, `${JSON.stringify(DESCRIPTION, undefined, 2)}\n`],
  'GET /v1/healthz': [200, ''],
  'POST /v1/request-landing': [200, 'Ship landed\n'],
  'PUT /v1/cargobay': [200, 'Cargo transferred\n'],
  'GET /v1/hyper-matter-reactor/status': [200, 'OK\n'],
  'PUT /v1/exhaust-port': [503, PANIC],
};

function answer({ method, url = '' }: IncomingMessage, response: ServerResponse): void {
  const path = url.replace(/\?.*/, '').replace(/\/$/, '');
  const [status, text] = ANSWERS[`${method} ${path}`] ?? [404, 'Not found\n'];
  response.writeHead(status).end(text);
}
