import type { CiliumObjects, Scenario } from '@ciliate/bpf';
import { type BpfObject, Code, encode, type FunctionDef, type Insn, withVariables } from '@ciliate/vm';
import { lxcVariables, overlayVariables, type Variables } from '../packages/bpf/src/conformance/objects/variables.ts';
import { type PreparePacket, RETURN_CODES, type TimedPacket } from './datapath_world.ts';
import { Unavailable, type Workshop } from './external.ts';
import { KernelPrograms, type KernelRun } from './kernel_programs.ts';

/** Maps that each endpoint has for itself. */
const OWN = ['cilium_calls', 'cilium_tail_call_buffer4', 'cilium_tail_call_buffer6', 'cilium_policy_v2'];
const EVENTS = 'cilium_events';
const CT = ['cilium_ct4_global', 'cilium_ct_any4_global', 'cilium_ct6_global', 'cilium_ct_any6_global'];
/** Runs on one packet: as many as let its TTL last. */
const REPEAT = 200;
const FIRST_PORT = 1024;
const NOTHING = 'nothing';
const OVERLAY = 'overlay';

/** Cilium's own programs in this machine's kernel: the node of a scenario, and packets through it. */
export class CiliumInKernel implements AsyncDisposable {
  readonly #kernel: KernelPrograms;

  private constructor(kernel: KernelPrograms) {
    this.#kernel = kernel;
  }

  /**
   * @param prepare packets that come before any other
   * @throws Unavailable with the first thing that is missing, or if the kernel refuses a program, or a packet goes another way
   */
  static async start(
    workshop: Workshop,
    scenario: Scenario,
    objects: CiliumObjects,
    prepare: readonly PreparePacket[],
  ): Promise<CiliumInKernel> {
    await using untilReady = new AsyncDisposableStack();
    const kernel = untilReady.use(await KernelPrograms.start(workshop));
    const { node, endpoints, ipcache, lxc_map, services } = scenario;
    await kernel.load(EMPTY);
    const load = (object: BpfObject, variables: Variables, owner: string): Promise<void> => {
      const known = new Map([...variables].filter(([name]) => object.variables.has(name)));
      const isOwn = (name: string): boolean => !object.maps.has(name) || OWN.includes(name);
      return kernel.load(withVariables(object, known), (name) => (isOwn(name) ? `${name}@${owner}` : name));
    };
    const set = async (map: string, rows: Scenario['ipcache']): Promise<void> => {
      for (const { key_hex, value_hex } of rows)
        await kernel.set(map, Buffer.from(key_hex, 'hex'), Buffer.from(value_hex, 'hex'));
    };
    for (const endpoint of endpoints) {
      await load(objects.lxc, lxcVariables(node, endpoint), `${endpoint.id}`);
      await kernel.put('cilium_call_policy', endpoint.id, `cil_lxc_policy@${endpoint.id}`);
      await set(`cilium_policy_v2@${endpoint.id}`, endpoint.policy);
    }
    const { overlay } = objects;
    const tunnelId = prepare.find(({ tunnel_id }) => tunnel_id !== null)?.tunnel_id;
    if (overlay !== undefined && typeof tunnelId === 'number')
      await load(outOfTunnel(overlay, tunnelId), overlayVariables(node), OVERLAY);
    await set('cilium_ipcache_v2', ipcache);
    await set('cilium_lxc', lxc_map);
    for (const { raw } of services) for (const row of raw) if (kernel.has(row.map)) await set(row.map, [row]);
    const cilium = new CiliumInKernel(kernel);
    for (const packet of prepare) {
      await cilium.take(packet);
      const { returned } = await kernel.run(programOf(packet), 1, 1);
      if (returned !== RETURN_CODES[packet.ret])
        throw new Unavailable(
          `a packet that prepares gives ${returned}, not ${packet.ret}: other objects than the recorded ones?`,
        );
    }
    untilReady.move();
    return cilium;
  }

  async readEvents(): Promise<void> {
    await this.#kernel.readEvents(EVENTS);
  }

  /** The packet of the runs that follow. */
  async take(packet: Pick<TimedPacket, 'packet_hex'>): Promise<void> {
    await this.#kernel.setPacket(Buffer.from(packet.packet_hex, 'hex'));
  }

  /** @param runs about as many. New connections: at most as many as there are ports */
  async time(packet: TimedPacket, runs: number): Promise<KernelRun> {
    const program = programOf(packet);
    if (packet.mode.startsWith('repeat')) return this.#kernel.run(program, REPEAT, Math.ceil(runs / REPEAT));
    if (packet.mode === 'single') return this.#kernel.run(program, 1, runs);
    for (const map of CT) await this.#kernel.clear(map);
    return this.#kernel.run(program, 1, runs, FIRST_PORT);
  }

  /** What the kernel measures of a program that does nothing. */
  async nothing(packet: TimedPacket, runs: number): Promise<number> {
    const repeat = packet.mode.startsWith('repeat') ? REPEAT : 1;
    return (await this.#kernel.run(NOTHING, repeat, Math.ceil(runs / repeat))).ns;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#kernel[Symbol.asyncDispose]();
  }
}

const programOf = ({ hook, endpoint }: Pick<TimedPacket, 'hook' | 'endpoint'>): string =>
  hook === 'from-overlay' ? `cil_from_overlay@${OVERLAY}` : `cil_from_container@${endpoint}`;

/** Operations of single instructions. Source: RFC 9669. */
const [MOV64, STORE_U32, CALL, EXIT] = [0xb7, 0x62, 0x85, 0x95];
const insn = (op: number, dst = 0, off = 0, imm = 0): Insn => ({ op, dst, src: 0, off, imm, imm64: 0n });
const RETURN_0 = [insn(MOV64), insn(EXIT)];
const functionOf = (name: string, section: string, insns: readonly Insn[]): FunctionDef => ({
  ...{ name, section, code: Code.decode(encode(insns), name) },
  ...{ references: new Map(), lines: () => [], tags: [] },
});
const EMPTY: BpfObject = {
  ...{ name: NOTHING, maps: new Map(), data: new Map(), variables: new Map() },
  functions: new Map([[NOTHING, functionOf(NOTHING, 'tc', RETURN_0)]]),
};

const GET_TUNNEL_KEY = 20;
/** Words of `struct bpf_tunnel_key` that programs ask for: id, address of the peer, flags. */
const TUNNEL_KEY_WORDS = 7;
const R2 = 2;

/** The overlay's programs, told of each packet that it came out of the tunnel with this id: a test run has no tunnel. */
function outOfTunnel(object: BpfObject, id: number): BpfObject {
  const name = 'get_tunnel_key';
  const words = Array.from({ length: TUNNEL_KEY_WORDS }, (_, i) => insn(STORE_U32, R2, 4 * i, i === 0 ? id : 0));
  const functions = new Map([...object.functions, [name, functionOf(name, '.text', [...words, ...RETURN_0])]]);
  for (const fn of object.functions.values()) {
    const references = new Map(fn.references);
    for (const [slot, { op, src, imm }] of fn.code.all.entries())
      if (op === CALL && src === 0 && imm === GET_TUNNEL_KEY) references.set(slot, { kind: 'function', name });
    functions.set(fn.name, { ...fn, references });
  }
  return { ...object, functions };
}
