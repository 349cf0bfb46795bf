import { connect, type Socket } from 'node:net';
import type { LiveCluster } from '@ciliate/live';
import { bytesOfIp, isIpv6, parseIp } from '@ciliate/packet';

const VERSION = 5;
const REPLY_BYTES = 10;
const METHOD_BYTES = 2;

/** A connection of a pod, through its SOCKS port, to an address or a name. */
export class PodSocket {
  /** What the server, or the proxy, said; one char a byte. */
  received = '';
  /** `failed`: SOCKS said no. */
  ended: 'open' | 'closed' | 'reset' | 'failed' = 'open';
  /** SOCKS said yes. */
  connected = false;
  readonly #socket: Socket;
  readonly #changed = new Set<() => void>();
  #bytes = Buffer.alloc(0);

  constructor(cluster: LiveCluster, pod: string, host: string, port: number) {
    this.#socket = connect({ port: cluster.pod(pod)!.socksPort, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (more: Buffer) => this.#take(more));
    this.#socket.on('end', () => this.#end(this.connected ? 'closed' : 'failed'));
    this.#socket.on('error', () => this.#end('reset'));
    const greeting = [VERSION, 1, 0];
    this.#socket.write(Buffer.from([...greeting, VERSION, 1, 0, ...addressBytes(host), port >> 8, port & 0xff]));
  }

  send(text: string): this {
    this.#socket.write(text, 'latin1');
    return this;
  }

  /** Resolves when it is so; rejects if the connection ends otherwise. */
  async until(check: RegExp | 'connected' | 'closed' | 'reset' | 'failed'): Promise<string> {
    const done = (): boolean => {
      if (check instanceof RegExp) return check.test(this.received);
      return check === 'connected' ? this.connected : this.ended === check;
    };
    while (!done()) {
      if (this.ended !== 'open') throw new Error(`${this.ended} before ${check}: ${JSON.stringify(this.received)}`);
      await new Promise<void>((resolve) => this.#changed.add(resolve));
    }
    return this.received;
  }

  /** Resolves when the connection is over, however. */
  async over(): Promise<this> {
    while (this.ended === 'open') await new Promise<void>((resolve) => this.#changed.add(resolve));
    return this;
  }

  close(): void {
    this.#socket.destroy();
    if (this.ended === 'open') this.#end('closed');
  }

  #take(more: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, more]);
    if (this.#bytes.length < METHOD_BYTES + REPLY_BYTES) return;
    this.connected = this.#bytes[METHOD_BYTES + 1] === 0;
    this.received = this.#bytes.subarray(METHOD_BYTES + REPLY_BYTES).toString('latin1');
    this.#wake();
  }

  #end(how: Exclude<PodSocket['ended'], 'open'>): void {
    this.ended = how;
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#changed) resolve();
    this.#changed.clear();
  }
}

function addressBytes(host: string): number[] {
  const ip = parseIp(host);
  if (ip === undefined) return [3, host.length, ...Buffer.from(host)];
  return [isIpv6(ip) ? 4 : 1, ...bytesOfIp(ip)];
}

/** Waits for a line of the flow log told after a moment. @param since `flows.count` then */
export async function toldOf(cluster: LiveCluster, since: number, text: string | RegExp): Promise<string> {
  const fits = (line: string): boolean => (typeof text === 'string' ? line.includes(text) : text.test(line));
  const told = cluster.flows.since(since).find(fits);
  if (told !== undefined) return told;
  return new Promise((resolve) => {
    const stop = cluster.flows.listen((line) => {
      if (!fits(line)) return;
      stop();
      resolve(line);
    });
  });
}
