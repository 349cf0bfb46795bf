import { rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { decodeObjects, InputError, type K8sObject } from '@ciliate/k8s';
import type { LiveCluster } from './cluster.ts';

/** More than any set of policies; what is longer is not read. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;

/**
 * The cluster's API over a Unix socket, HTTP with JSON:
 *
 * | request                                   | answer                                                            |
 * | ----------------------------------------- | ----------------------------------------------------------------- |
 * | `GET /v1/healthz`                         | `{ status: "ok" }`                                                |
 * | `GET /v1/pods`                            | every pod with its address and its ports on 127.0.0.1             |
 * | `GET /v1/identity`                        | `[{ id, labels }]`: every identity that the agent knows           |
 * | `POST /v1/objects?file=NAME`, YAML        | `{ applied: [{ kind, namespace, name, what }] }`, now in force    |
 * | `POST /v1/objects/delete?file=NAME`, YAML | `{ deleted: [{ kind, namespace, name }] }`                        |
 * | `GET /v1/flows?follow=true`               | lines as `hubble observe` prints them                             |
 * | `GET /v1/notes?since=N`                   | `{ count, notes: [{ pod, text }] }`: what failures stood for      |
 *
 * Bad input is answered 400 with `{ error }`.
 */
export class ApiServer {
  readonly #cluster: LiveCluster;
  readonly #server: Server;
  readonly #path: string;

  /** @throws InputError if somebody serves there already */
  static async start(cluster: LiveCluster, path: string): Promise<ApiServer> {
    if (await isServed(path)) throw new InputError(`${path}: another cluster runs there`, { path });
    rmSync(path, { force: true }); // one that was left over
    const api = new ApiServer(cluster, path);
    const before = process.umask(0o077); // the owner's alone: it can run commands
    try {
      await new Promise<void>((resolve, reject) => api.#server.once('error', reject).listen(path, resolve));
    } catch (cause) {
      throw new InputError(`${path}: ${(cause as Error).message}`, { path }, cause);
    } finally {
      process.umask(before);
    }
    return api;
  }

  private constructor(cluster: LiveCluster, path: string) {
    this.#cluster = cluster;
    this.#path = path;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => fail(response, error));
    });
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
    rmSync(this.#path, { force: true });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://ciliate');
    const file = url.searchParams.get('file') ?? 'stdin';
    switch (`${request.method} ${url.pathname}`) {
      case 'GET /v1/healthz':
        return json(response, { status: 'ok' });
      case 'GET /v1/pods':
        return json(response, this.#cluster.pods);
      case 'GET /v1/identity': {
        const entries = this.#cluster.agent.identities.entries();
        return json(
          response,
          entries.map(([id, labels]) => ({ id, labels: labels.toStrings() })),
        );
      }
      case 'POST /v1/objects': {
        const applied = await this.#cluster.apply(await readObjects(request, file));
        return json(response, { applied: applied.map(({ ref, what }) => ({ ...ref, what })) });
      }
      case 'POST /v1/objects/delete': {
        const refs = (await readObjects(request, file)).map(({ kind, metadata: { namespace, name } }) => ({
          ...{ kind, namespace, name },
        }));
        return json(response, { deleted: await this.#cluster.delete(refs) });
      }
      case 'GET /v1/flows':
        return this.#flows(response, url.searchParams.get('follow') === 'true');
      case 'GET /v1/notes': {
        const { notes } = this.#cluster;
        const since = Number(url.searchParams.get('since') ?? 0);
        return json(response, { count: notes.count, notes: notes.since(since) });
      }
      default:
        response.writeHead(404).end(`${JSON.stringify({ error: `no ${request.method} ${url.pathname} here` })}\n`);
    }
  }

  #flows(response: ServerResponse, follow: boolean): void {
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
    response.flushHeaders();
    const { flows } = this.#cluster;
    for (const line of flows.since(0)) response.write(`${line}\n`);
    if (!follow) {
      response.end();
      return;
    }
    const stop = flows.listen((line) => void response.write(`${line}\n`));
    response.on('close', stop);
  }
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(`${JSON.stringify(value)}\n`);
}

function fail(response: ServerResponse, error: unknown): void {
  const bad = error instanceof Error && 'code' in error && error.code === 'BAD_INPUT';
  const message = error instanceof Error ? error.message : String(error);
  if (!response.headersSent) response.writeHead(bad ? 400 : 500, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify({ error: message })}\n`);
}

async function readObjects(request: IncomingMessage, file: string): Promise<K8sObject[]> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) throw new InputError(`${file}: longer than ${MAX_BODY_BYTES} bytes`, { file });
    chunks.push(chunk);
  }
  return decodeObjects(Buffer.concat(chunks).toString(), file);
}

function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.on('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
}
