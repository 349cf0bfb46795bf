import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** USER_HZ is 100 on every Linux. */
const TICK_US = 10_000;

/** Of one run of wrk; times in microseconds. */
export interface LoadResult {
  readonly requests: number;
  readonly microseconds: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Answers of 400 and more. */
  readonly failed: number;
  /** Connections that did not come about or broke, and answers that took too long. */
  readonly errors: number;
}

/** Is there a program of this name? */
export function has(program: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** The processes of one run: what drives, what answers, what is measured. All end with `dispose`. */
export class Machine implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'ciliate-bench-proxy-'));
  readonly #server = join(this.#folder, 'http_server');
  readonly #children: ChildProcess[] = [];
  /** By port; nginx, whose work a child of it does, has none. */
  readonly #pids = new Map<number, number>();

  /** Compiles the server. @throws if there is no C compiler */
  constructor() {
    execFileSync('cc', ['-O2', here('../c/http_server.c'), '-o', this.#server], { stdio: 'ignore' });
  }

  /** @returns the port of a server that answers everything with 200 */
  backend(): Promise<number> {
    return this.#start(this.#server, []);
  }

  /** @returns the port of a proxy of subject.ts */
  proxy(name: string, backend: number, workers: number): Promise<number> {
    return this.#start(process.execPath, [here('subject.ts'), name, `${backend}`, `${workers}`]);
  }

  /** Processor time that the process with this port has had, in microseconds; undefined where the system does not say. */
  cpuUs(port: number): number | undefined {
    const pid = this.#pids.get(port);
    if (pid === undefined || process.platform !== 'linux') return undefined;
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
    return (Number(fields[11]) + Number(fields[12])) * TICK_US;
  }

  /** nginx with the same rule as the others. @returns its port */
  async nginx(backend: number): Promise<number> {
    const port = 20_000 + (process.pid % 20_000);
    const config = join(this.#folder, 'nginx.conf');
    writeFileSync(config, nginxConfig(this.#folder, port, backend));
    this.#keep(spawn('nginx', ['-c', config, '-e', 'stderr'], { stdio: 'ignore' }));
    await new Promise((resolve) => setTimeout(resolve, 500));
    return port;
  }

  /** What one request is answered with. */
  async status(port: number, method: string, path: string): Promise<number> {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers: { connection: 'close' } });
    await answer.arrayBuffer();
    return answer.status;
  }

  /** wrk: one request at a time on each of the connections, for whole seconds. */
  async load(port: number, connections: number, seconds: number, method: string, path: string): Promise<LoadResult> {
    const how = ['-t1', `-c${connections}`, `-d${seconds}s`, '-s', here('load.lua')];
    const args = [...how, `http://127.0.0.1:${port}${path}`, '--', method];
    const child = spawn('wrk', args, { stdio: ['ignore', 'pipe', 'inherit'] });
    for await (const line of createInterface({ input: child.stdout! }))
      if (line.startsWith('{')) return JSON.parse(line);
    throw new Error('wrk has not said what it measured');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) child.kill();
    await Promise.all(this.#children.map((child) => (child.exitCode ?? child.signalCode) || once(child, 'exit')));
    rmSync(this.#folder, { recursive: true });
  }

  /** Runs a program whose first line is its port. */
  async #start(program: string, args: string[]): Promise<number> {
    const child = this.#keep(spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] }));
    const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
    this.#pids.set(Number(line), child.pid!);
    return Number(line);
  }

  #keep(child: ChildProcess): ChildProcess {
    this.#children.push(child);
    return child;
  }
}

const nginxConfig = (folder: string, port: number, backend: number): string => `
daemon off; worker_processes 1; pid ${folder}/pid; error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 1000000000;
  upstream server { server 127.0.0.1:${backend}; keepalive 64; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port};
    location ~ ^/v1/ {
      if ($request_method != GET) { return 403; }
      proxy_pass http://server; proxy_http_version 1.1; proxy_set_header Connection "";
    }
    location / { return 403; }
  }
}
`;
