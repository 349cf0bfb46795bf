import { parseFrame } from '@ciliate/packet';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { TcpEnd } from '../src/net/tcp_end.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const CLIENT = { address: 0x0a000001, port: 40_000 };
const SERVER = { address: 0x0a000002, port: 80 };

/** Two ends, and a wire that loses the packets whose numbers are in `lost`. @returns what each end heard */
function talk(
  up: readonly number[],
  down: readonly number[],
  lost: ReadonlySet<number>,
): [heard: number[], heard: number[]] {
  const heard: [number[], number[]] = [[], []];
  const wire: (() => void)[] = [];
  let sent = 0;
  let client: TcpEnd;
  let server: TcpEnd;
  const carry = (to: () => TcpEnd, accept: boolean) => (frame: Uint8Array) => {
    if (lost.has(sent++)) return;
    wire.push(() => {
      const { tcp, payload } = parseFrame(frame);
      if (accept && (tcp!.flags & 0x12) === 0x02 && !isAccepted) {
        isAccepted = true;
        to().accept(tcp!);
      } else to().receive(tcp!, payload.slice());
    });
  };
  let isAccepted = false;
  client = new TcpEnd(
    { local: CLIENT, remote: SERVER, isn: 0xffff_fff0 },
    carry(() => server, true),
    () => {},
  );
  server = new TcpEnd(
    { local: SERVER, remote: CLIENT, isn: 77 },
    carry(() => client, false),
    () => {},
  );
  const events = (end: TcpEnd, index: 0 | 1) => ({
    ...{ onReset: () => {}, onTimeout: () => {}, onDrain: () => {}, onClosed: () => {} },
    onData: (bytes: Uint8Array) =>
      void heard[index].push(
        bytes.reduce((sum, byte) => sum + byte, 0),
        bytes.length,
      ),
    onEnd: () => end.finish(),
  });
  server.events = events(server, 0);
  client.events = events(client, 1);
  for (const size of down) server.write(new Uint8Array(size).fill(1));
  for (const size of up) client.write(new Uint8Array(size).fill(2));
  client.finish();
  client.connect();
  for (let step = 0; step < 200; step++) {
    for (let next = wire.shift(); next !== undefined; next = wire.shift()) next();
    vi.advanceTimersByTime(2000);
  }
  client.destroy();
  server.destroy();
  return heard;
}

const sizes = fc.array(fc.nat(5000), { maxLength: 4 });
const total = (heard: readonly number[]): [sum: number, length: number] => [
  heard.filter((_, i) => i % 2 === 0).reduce((a, b) => a + b, 0),
  heard.filter((_, i) => i % 2 === 1).reduce((a, b) => a + b, 0),
];
const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);

test('whatever few packets are lost, every byte arrives once', () => {
  fc.assert(
    fc.property(sizes, sizes, fc.array(fc.nat(25), { maxLength: 4 }), (up, down, lost) => {
      const [atServer, atClient] = talk(up, down, new Set(lost));
      expect(total(atServer)).toEqual([2 * sum(up), sum(up)]);
      expect(total(atClient)).toEqual([sum(down), sum(down)]);
    }),
    { seed, numRuns: 300 },
  );
});
