import { cpus } from 'node:os';
import { BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERF_EVENT_ARRAY } from '@ciliate/maps';
import { type BpfObject, encode, type FunctionDef, type Insn, isProgram, type MapDef } from '@ciliate/vm';
import { External, type Workshop } from './external.ts';

/** Source: include/uapi/linux/bpf.h. */
const BPF_F_RDONLY_PROG = 1 << 7;
const PSEUDO = { mapFd: 1, mapValue: 2, call: 1 } as const;
/** No row fills more of a map: what is larger only costs the kernel time to make. */
const MAX_ENTRIES = 65_536;
const TAIL_TAG = /^tail:([^/]+)\/(\d+)$/;

export interface KernelRun {
  /** Of one run, by the kernel's clock: the median of the calls. */
  readonly ns: number;
  /** What all runs returned; -1: not the same. */
  readonly returned: number;
}

/** Objects in this machine's kernel, loaded as a loader would: maps made, variables set, calls joined, prog arrays filled. */
export class KernelPrograms implements AsyncDisposable {
  readonly #external: External;
  readonly #maps = new Set<string>();

  private constructor(external: External) {
    this.#external = external;
  }

  /** @throws Unavailable with the first thing that is missing */
  static async start(workshop: Workshop): Promise<KernelPrograms> {
    return new KernelPrograms(await External.start(workshop.programsCommand()));
  }

  /**
   * @param nameOf what its maps are called here: those that are there already are used. Its programs have the names that
   * `nameOf` gives them, too
   * @throws Unavailable if the kernel refuses it
   */
  async load(object: BpfObject, nameOf: (name: string) => string = (name) => name): Promise<void> {
    const make = async (name: string, def: Omit<MapDef, 'name' | 'values'>): Promise<boolean> => {
      if (this.#maps.has(name)) return false;
      this.#maps.add(name);
      const { type, keySize, valueSize, maxEntries, flags } = def;
      // One slot for each processor, where the object leaves it to its loader.
      const isEvents = type === BPF_MAP_TYPE_PERF_EVENT_ARRAY;
      const entries = isEvents ? maxEntries || cpus().length : Math.min(maxEntries, MAX_ENTRIES);
      await this.#ask(`map ${name} ${type} ${keySize || 4} ${valueSize || 4} ${entries} ${flags}`);
      return true;
    };
    for (const def of object.maps.values()) await make(nameOf(def.name), def);
    for (const { name, bytes, isReadOnly } of object.data.values()) {
      const sizes = { keySize: 4, valueSize: bytes.length, maxEntries: 1 };
      const flags = isReadOnly ? BPF_F_RDONLY_PROG : 0;
      if (!(await make(nameOf(name), { type: BPF_MAP_TYPE_ARRAY, ...sizes, flags }))) continue;
      await this.set(nameOf(name), new Uint8Array(4), bytes);
      if (isReadOnly) await this.#ask(`freeze ${nameOf(name)}`);
    }
    for (const fn of object.functions.values()) {
      if (!isProgram(fn)) continue;
      const { code, maps } = joined(object, fn);
      const slots = maps.map(([slot, name]) => `${slot}:${nameOf(name)}`);
      await this.#ask(['program', nameOf(fn.name), hex(encode(code)), ...slots].join(' '));
      for (const tag of fn.tags) {
        const [, map, index] = TAIL_TAG.exec(tag) ?? [];
        if (map !== undefined) await this.put(nameOf(map), Number(index), nameOf(fn.name));
      }
    }
  }

  has(map: string): boolean {
    return this.#maps.has(map);
  }

  async set(map: string, key: Uint8Array, value: Uint8Array): Promise<void> {
    await this.#ask(`set ${map} ${hex(key)} ${hex(value)}`);
  }

  /** Into a prog array. */
  async put(map: string, index: number, program: string): Promise<void> {
    await this.#ask(`put ${map} ${index} ${program}`);
  }

  async clear(map: string): Promise<void> {
    await this.#ask(`clear ${map}`);
  }

  /** From now on somebody reads them. */
  async readEvents(map: string): Promise<void> {
    await this.#ask(`events ${map}`);
  }

  async setPacket(frame: Uint8Array): Promise<void> {
    await this.#ask(`packet ${hex(frame)}`);
  }

  /**
   * The packet through a program. @param repeat runs on one packet, which keeps what they change; each call takes a new one.
   * @param port of the first call's packet, TCP or UDP source; the others' count from it on
   */
  async run(program: string, repeat: number, calls: number, port?: number): Promise<KernelRun> {
    const answer = await this.#external.ask(['run', program, repeat, calls, port ?? ''].join(' '));
    const [ns, returned] = answer.split(' ').map(Number) as [number, number];
    return { ns, returned };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#external.stop();
  }

  async #ask(line: string): Promise<void> {
    await this.#external.ask(line);
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');

/** A program and all that it calls, one after another, as the kernel wants them. `maps`: what the slots of LDDWs refer to. */
function joined(object: BpfObject, program: FunctionDef): { code: Insn[]; maps: [slot: number, map: string][] } {
  const starts = new Map<string, number>();
  const queue = [program];
  for (let at = 0, i = 0; i < queue.length; i++) {
    const fn = queue[i]!;
    starts.set(fn.name, at);
    at += fn.code.length;
    for (const reference of fn.references.values()) {
      if (reference.kind !== 'function') continue;
      const callee = object.functions.get(reference.name)!;
      if (!queue.includes(callee)) queue.push(callee);
    }
  }
  const maps: [number, string][] = [];
  const code = queue.flatMap((fn) => {
    const start = starts.get(fn.name)!;
    const insns = fn.code.all.map((insn) => ({ ...insn }));
    for (const [slot, reference] of fn.references) {
      const insn = insns[slot]!;
      if (reference.kind === 'function') {
        insn.src = PSEUDO.call;
        insn.imm = starts.get(reference.name)! - (start + slot + 1);
        continue;
      }
      const isData = reference.kind === 'data';
      insn.src = isData ? PSEUDO.mapValue : PSEUDO.mapFd;
      insns[slot + 1]!.imm = isData ? reference.offset : 0;
      maps.push([start + slot, isData ? reference.section : reference.name]);
    }
    return insns;
  });
  return { code, maps };
}
