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
import { scenarios } from '../scenarios.ts';

/** The node of a recorded scenario, and what its devices make of a frame. */
export class Node {
  readonly world: World;
  /** All that came out and was not dropped. */
  readonly sent: Uint8Array[] = [];

  constructor(scenario: string) {
    this.world = new World(scenarios.find(({ name }) => name === scenario)!);
    this.world.memory.nowNs = 100_000_000_000_000n;
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
    const frame = skb.frame();
    this.sent.push(frame);
    return frame;
  }
}
