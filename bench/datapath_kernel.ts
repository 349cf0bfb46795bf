import { readFileSync } from 'node:fs';
import type { World } from '@ciliate/bpf';
import type { BpfMap } from '@ciliate/maps';
import { loadObject } from '@ciliate/vm';
import type { TimedPacket } from './datapath_world.ts';
import type { Workshop } from './external.ts';
import { KernelPrograms, type KernelRun } from './kernel_programs.ts';

/** The lookups of one packet as an eBPF program on the kernel's own maps (kernel/datapath.bpf.c), filled as ours are. */
export class KernelSubset implements AsyncDisposable {
  readonly #kernel: KernelPrograms;

  private constructor(kernel: KernelPrograms) {
    this.#kernel = kernel;
  }

  /** @throws Unavailable with the first thing that is missing */
  static async start(workshop: Workshop, world: World, packet: TimedPacket): Promise<KernelSubset> {
    const path = workshop.subsetObject();
    await using untilReady = new AsyncDisposableStack();
    const kernel = untilReady.use(await KernelPrograms.start(workshop));
    await kernel.load(loadObject(readFileSync(path), path));
    const fill = async (name: string, map: BpfMap): Promise<void> => {
      const { keySize, valueSize } = map.spec;
      const bytes = (at: number, size: number) => world.memory.u8.slice(at, at + size);
      for (const { key, value } of map.entries()) await kernel.set(name, bytes(key, keySize), bytes(value, valueSize));
    };
    await fill('ct', world.open('cilium_ct4_global'));
    await fill('ipcache', world.open('cilium_ipcache_v2'));
    await fill('policy', world.open(`policy:${packet.endpoint}`));
    await kernel.set('metrics', METRICS_KEY, new Uint8Array(16));
    await kernel.setPacket(Buffer.from(packet.packet_hex, 'hex'));
    untilReady.move();
    return new KernelSubset(kernel);
  }

  run(program: 'subset' | 'nothing', repeat: number): Promise<KernelRun> {
    return this.#kernel.run(program, repeat, 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#kernel[Symbol.asyncDispose]();
  }
}

/** Reason 0, direction egress. */
const METRICS_KEY = Uint8Array.of(0, 2, 0, 0, 0, 0, 0, 0);
