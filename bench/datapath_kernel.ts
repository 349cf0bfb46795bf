import type { World } from '@ciliate/bpf';
import type { BpfMap } from '@ciliate/maps';
import type { TimedPacket } from './datapath_world.ts';
import { External, type Workshop } from './external.ts';

/** The lookups of one packet as an eBPF program on the kernel's own maps (kernel/datapath.bpf.c), filled as ours are. */
export class KernelSubset implements AsyncDisposable {
  readonly #external: External;

  private constructor(external: External) {
    this.#external = external;
  }

  /** @throws Unavailable with the first thing that is missing */
  static async start(workshop: Workshop, world: World, packet: TimedPacket): Promise<KernelSubset> {
    const external = await External.start(workshop.datapathCommand());
    const fill = async (name: string, map: BpfMap): Promise<void> => {
      const { keySize, valueSize } = map.spec;
      const hex = (at: number, size: number) => Buffer.from(world.memory.u8.slice(at, at + size)).toString('hex');
      for (const { key, value } of map.entries())
        await external.ask(`set ${name} ${hex(key, keySize)} ${hex(value, valueSize)}`);
    };
    await fill('ct', world.open('cilium_ct4_global'));
    await fill('ipcache', world.open('cilium_ipcache_v2'));
    await fill('policy', world.open(`policy:${packet.endpoint}`));
    await external.ask('set metrics 0002000000000000 00000000000000000000000000000000');
    await external.ask(`packet ${packet.packet_hex}`);
    return new KernelSubset(external);
  }

  /** @returns nanoseconds of one run, by the kernel's clock, and what the program returned */
  async run(program: 'subset' | 'nothing', repeat: number): Promise<{ ns: number; returned: number }> {
    const [ns, returned] = (await this.#external.ask(`run ${program} ${repeat}`)).split(' ').map(Number);
    return { ns: ns!, returned: returned! };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#external.stop();
  }
}
