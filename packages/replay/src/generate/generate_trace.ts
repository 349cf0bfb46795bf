import type { Agent } from '@ciliate/agent';
import { PcapngWriter } from '@ciliate/packet';
import { Scan, SynFlood } from './attacks.ts';
import { Cast, type Station } from './cast.ts';
import { Chooser } from './chooser.ts';
import type { Connection } from './connection.ts';
import { FrameBuilder } from './frame.ts';
import { DEFAULT_OPTIONS, type GenerateOptions } from './options.ts';
import { type Opened, Players } from './players.ts';
import { Random, WeightedChoice, zipfShares } from './random.ts';

const NS = 1_000_000_000;

/** What was generated. The same cluster, seed and options give the same, and the same file. */
export interface GenerateSummary {
  packets: number;
  /** Of frames. */
  bytes: number;
  /** Of the trace, seconds. */
  duration: number;
  seed: number;
  connections: number;
  opened: Opened;
  /** Packets of attacks. */
  synFlood: number;
  scan: number;
  /** Packets by interface, in the order of the file; those without any are left out. */
  interfaces: { name: string; packets: number }[];
}

/**
 * Writes a trace of the agent's cluster as pcapng, packet by packet: memory does not grow with it. Each interface holds what
 * one pod sent, `eth0` what came from the network. Forgets all connections before and after.
 * @param progress called now and then with the packets written. @throws CaptureError if the file cannot be written
 */
export function generateTrace(
  agent: Agent,
  path: string,
  options: Partial<GenerateOptions> = {},
  progress?: (packets: number) => void,
): GenerateSummary {
  using writer = new PcapngWriter(path, { application: 'ciliate trace generate' });
  const generator = new Generator(agent, writer, { ...DEFAULT_OPTIONS, ...options });
  try {
    return generator.run(progress);
  } finally {
    generator.close();
  }
}

const PROGRESS_PACKETS = 1 << 16;

class Generator {
  readonly #options: GenerateOptions;
  readonly #writer: PcapngWriter;
  readonly #random: Random;
  readonly #cast: Cast;
  readonly #chooser: Chooser;
  readonly #players: Players;
  readonly #flood: SynFlood;
  readonly #scan: Scan;
  readonly #frame = new FrameBuilder();
  readonly #slots: (Connection | undefined)[];
  readonly #ranks: WeightedChoice;
  readonly #ids = new Map<Station, number>();
  readonly #packetsOf: number[] = [];
  /** Its last packets come before those of any other connection. */
  #closing: Connection | undefined;
  #seconds: number;
  #nanoseconds = 0;
  #connections = 0;
  #synFloods = 0;
  #scans = 0;

  constructor(agent: Agent, writer: PcapngWriter, options: GenerateOptions) {
    this.#options = options;
    this.#writer = writer;
    this.#seconds = options.start;
    this.#random = new Random(agent.seed);
    this.#cast = new Cast(agent, this.#random);
    this.#chooser = new Chooser(agent);
    this.#players = new Players(this.#cast, this.#chooser, this.#random, options);
    this.#flood = new SynFlood(this.#cast, this.#random);
    this.#scan = new Scan(this.#cast, this.#random);
    this.#slots = Array.from({ length: options.flows });
    this.#ranks = new WeightedChoice(zipfShares(options.flows, options.skew));
    for (const station of this.#cast.stations) {
      this.#ids.set(station, writer.addInterface({ name: station.name }));
      this.#packetsOf.push(0);
    }
  }

  close(): void {
    this.#chooser.close();
  }

  run(progress: ((packets: number) => void) | undefined): GenerateSummary {
    const frame = this.#frame;
    const { packets, rate, start } = this.#options;
    let bytes = 0;
    for (let sent = 0; sent < packets; sent++) {
      if (sent > 0) this.#wait(NS / rate);
      const id = this.#ids.get(this.#next())!;
      this.#writer.writeFrom(id, this.#seconds, this.#nanoseconds, frame.bytes, 0, frame.length, frame.length);
      this.#packetsOf[id]!++;
      bytes += frame.length;
      if ((sent + 1) % PROGRESS_PACKETS === 0) progress?.(sent + 1);
    }
    const names = [...this.#ids].map(([{ name }, id]) => ({ name, packets: this.#packetsOf[id]! }));
    return {
      packets,
      bytes,
      duration: this.#seconds - start + this.#nanoseconds / NS,
      seed: this.#random.seed,
      connections: this.#connections,
      opened: this.#players.opened,
      synFlood: this.#synFloods,
      scan: this.#scans,
      interfaces: names.filter((one) => one.packets > 0),
    };
  }

  #wait(meanNs: number): void {
    this.#nanoseconds += Math.round(this.#random.exponential(meanNs));
    this.#seconds += Math.floor(this.#nanoseconds / NS);
    this.#nanoseconds %= NS;
  }

  /** Builds the next frame. @returns where it is captured */
  #next(): Station {
    const { synFlood, scan, newFlows, rate } = this.#options;
    const kind = this.#random.fraction();
    if (kind < synFlood) {
      this.#synFloods++;
      return this.#flood.next(this.#frame);
    }
    if (kind < synFlood + scan) {
      this.#scans++;
      return this.#scan.next(this.#frame);
    }
    const last = this.#closing?.next(this.#frame);
    if (last !== undefined) return last;
    this.#closing = undefined;
    if (this.#random.fraction() < newFlows / rate) return this.#renew(this.#random.below(this.#slots.length));
    const slot = this.#ranks.pick(this.#random);
    return this.#slots[slot]?.next(this.#frame) ?? this.#open(slot);
  }

  /** Puts a new connection in the place of an old one, which is closed behind its first packet. */
  #renew(slot: number): Station {
    this.#slots[slot]?.close();
    this.#closing = this.#slots[slot];
    return this.#open(slot);
  }

  #open(slot: number): Station {
    const { connection, station } = this.#players.open(this.#frame, this.#seconds);
    this.#connections++;
    this.#slots[slot] = connection;
    return station;
  }
}
