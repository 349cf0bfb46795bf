import type { EventRing } from '@ciliate/maps';
import { counters, snapshot } from '../../src/conformance/observe.ts';
import { runHook } from '../../src/conformance/runner.ts';
import type { PacketInput, Scenario } from '../../src/conformance/scenario.ts';
import { START_SECONDS, World } from '../../src/conformance/world.ts';
import { CTX_ACT_DROP, CTX_ACT_OK, CTX_ACT_REDIRECT, Skb } from '../../src/index.ts';
import { SKB_MAX_LEN } from '../../src/skb.ts';

/** Bytes that are watched in front of the packet's buffer and behind it. */
const GUARD = 512;
const DROP_NOTIFY_BYTES = 40;
const VERDICTS: readonly number[] = [CTX_ACT_OK, CTX_ACT_DROP, CTX_ACT_REDIRECT];

type Hook = typeof runHook;
type Sizes = ConstructorParameters<typeof World>[1];

/** One of the twins: its world, and its packets between guard bytes of one pattern. */
interface Twin {
  readonly world: World;
  readonly skb: Skb;
  /** As many bytes of the pattern as the guarded piece has. */
  readonly guard: Buffer;
  /** Where the guarded piece begins; it ends at `end`. */
  readonly start: number;
  readonly end: number;
}

/**
 * Two worlds of one scenario that differ in nothing but the bytes around their packets. A program that reads one of those
 * makes them differ: in the answer, in an event, or in some byte of a map or struct; a write shows in the guard bytes.
 */
export class Twins {
  readonly #twins: readonly [Twin, Twin];
  readonly #hook: Hook;
  #seconds = START_SECONDS;

  /**
   * @param hook what runs a packet
   * @param explained whether the second one's packets are, which sends them the long way
   * @param maxEntries of maps that shall have another size than usual
   */
  constructor(scenario: Scenario, hook: Hook = runHook, explained = false, maxEntries: Sizes = {}) {
    this.#hook = hook;
    this.#twins = [twinOf(scenario, 0x00, maxEntries), twinOf(scenario, 0xa5, maxEntries)];
    if (explained) this.#twins[1].world.datapath.steps = { push: () => 0 };
    this.advance(0);
  }

  advance(seconds: number): void {
    this.#seconds += seconds;
    for (const { world } of this.#twins) world.memory.nowNs = BigInt(this.#seconds) * 1_000_000_000n;
  }

  set(map: string, keyHex: string, valueHex: string): void {
    for (const { world } of this.#twins) world.set(map, keyHex, valueHex);
  }

  delete(map: string, keyHex: string): void {
    for (const { world } of this.#twins) world.delete(map, keyHex);
  }

  /** @returns the verdict. @throws Error saying what is wrong with it, or how the twins differ */
  send(input: PacketInput): number {
    const [a, b] = this.#twins;
    const first = run(a, input, this.#hook);
    const second = run(b, input, this.#hook);
    if (first !== second) throw new Error(`what lies around the packet decides:\n${first}\n${second}`);
    return Number(first.slice(0, first.indexOf(' ')));
  }

  /** @throws Error naming the first entry of a map that differs */
  compareMaps(): void {
    const [a, b] = this.#twins.map(({ world }) => new Map([...snapshot(world), ...counters(world)].map(textOfEntry)));
    for (const key of new Set([...a!.keys(), ...b!.keys()]))
      if (a!.get(key) !== b!.get(key)) throw new Error(`${key}: ${a!.get(key)}, the long way ${b!.get(key)}`);
  }

  /** @throws Error naming the first byte of the memories that differs, outside of the guards */
  compareMemories(): void {
    const [a, b] = this.#twins;
    const top = a.world.memory.u8.length;
    for (const [from, to] of [
      [0, a.start],
      [a.end, top],
    ] as const) {
      if (view(a, from, to).equals(view(b, from, to))) continue;
      const at = view(a, from, to).findIndex((byte, i) => byte !== b.world.memory.u8[from + i]);
      throw new Error(`the memories differ at ${from + at} of ${top}; the packet is at ${a.skb.data}`);
    }
  }
}

const textOfEntry = ([key, value]: readonly [string, unknown]): [string, string] => [key, String(value)];

const view = ({ world }: Twin, from: number, to: number): Buffer => Buffer.from(world.memory.buffer, from, to - from);

function twinOf(scenario: Scenario, pattern: number, maxEntries: Sizes): Twin {
  const world = new World(scenario, maxEntries);
  const { memory } = world;
  const start = memory.alloc(GUARD);
  const skb = new Skb(memory);
  const end = memory.alloc(GUARD) + GUARD;
  if (start > skb.data || end - start > SKB_MAX_LEN + 3 * GUARD) throw new Error('the guards lie elsewhere');
  memory.u8.fill(pattern, start, end);
  return { world, skb, guard: Buffer.alloc(end - start, pattern), start, end };
}

/** @returns everything the program said of the packet, as text that begins with the verdict */
function run(twin: Twin, input: PacketInput, hook: Hook): string {
  const { world, skb, guard, start, end } = twin;
  const { u8 } = world.memory;
  const before = input.packet_hex.length / 2;
  const ret = hook({ datapath: world.datapath, skb }, input);
  if (!VERDICTS.includes(ret)) throw new Error(`${ret} is no verdict`);
  if (!(skb.len >= 0 && skb.len <= SKB_MAX_LEN)) throw new Error(`the packet has ${skb.len} bytes afterwards`);
  // What was the packet's before it was shortened may hold anything.
  const after = skb.data + Math.max(skb.len, Math.min(before, SKB_MAX_LEN));
  for (const [from, to] of [
    [start, skb.data],
    [after, end],
  ] as const) {
    if (view(twin, from, to).equals(guard.subarray(0, to - from))) continue;
    throw new Error(`a byte outside of the packet was written, between ${from - skb.data} and ${to - skb.data}`);
  }
  const events = [...textOf(world.events), ...textOf(world.signals)].join(' ');
  const { mark, tcIndex, redirectHelper, redirectIfindex, redirectFlags, tunnelId, tunnelRemote, packetType } = skb;
  const frame = Buffer.from(skb.frame()).toString('hex');
  const redirect = `${redirectHelper} ${redirectIfindex} ${redirectFlags}`;
  // Whoever calls a program may look there for the code of its drop.
  const { event } = world.datapath.stack;
  const dropped = ret === CTX_ACT_DROP ? view(twin, event, event + DROP_NOTIFY_BYTES).toString('hex') : '';
  const text = `${ret} ${frame} ${dropped} mark ${mark} ${tcIndex} ${redirect} tunnel ${tunnelId} ${tunnelRemote} ${packetType} ${events}`;
  u8.fill(guard[0]!, skb.data, after);
  return text;
}

function textOf(ring: EventRing): string[] {
  const texts: string[] = [];
  ring.drain((event) => texts.push(Buffer.from(event).toString('hex')));
  return texts;
}
