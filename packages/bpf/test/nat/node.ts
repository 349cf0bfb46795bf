import { START_SECONDS } from '../../src/conformance/world.ts';
import {
  CTX_ACT_DROP,
  cilFromContainer,
  cilFromHost,
  cilFromNetdev,
  cilToNetdev,
  identityMark,
  World,
} from '../../src/index.ts';
import { MARK_MAGIC_IDENTITY } from '../../src/lib/common.ts';
import type { MapName } from '../../src/maps.ts';
import { scenarios } from '../scenarios.ts';

/** The node of a recorded scenario, and what its devices make of a frame. */
export class Node {
  readonly world: World;

  #seconds = START_SECONDS;

  /** @param maxEntries of maps that shall be small */
  constructor(scenario: string, maxEntries: Partial<Record<MapName, number>> = {}) {
    this.world = new World(scenarios.find(({ name }) => name === scenario)!, maxEntries);
    this.wait(0);
  }

  wait(seconds: number): void {
    this.#seconds += seconds;
    this.world.memory.nowNs = BigInt(this.#seconds) * 1_000_000_000n;
  }

  /** What a pod with this identity sends leaves by the network device. */
  toNetdev(frame: Uint8Array, identity = 1001): Uint8Array {
    const { datapath, skb } = this.world;
    skb.load(frame, 5, identityMark(identity, MARK_MAGIC_IDENTITY));
    return this.#result(cilToNetdev(datapath, skb));
  }

  fromNetdev(frame: Uint8Array): Uint8Array {
    const { datapath, skb } = this.world;
    skb.load(frame, 5);
    return this.#result(cilFromNetdev(datapath, skb));
  }

  fromHost(frame: Uint8Array): Uint8Array {
    const { datapath, skb } = this.world;
    skb.load(frame, 2);
    return this.#result(cilFromHost(datapath, skb));
  }

  fromContainer(frame: Uint8Array, id: number): Uint8Array {
    const { datapath, skb } = this.world;
    const program = datapath.program(id)!;
    skb.load(frame, program.ifindex);
    return this.#result(cilFromContainer(datapath, program, skb));
  }

  #result(ret: number): Uint8Array {
    const { events, skb } = this.world;
    let drop: number | undefined;
    events.drain((event) => {
      if (event[0] === 1) drop = event[1];
    });
    if (ret === CTX_ACT_DROP) throw new Error(`dropped: ${drop}`);
    return skb.frame();
  }
}
