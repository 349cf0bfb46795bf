import { ENGINES, type EngineDefinition, type EngineEntry, engineByName, type PolicyEngine } from '@ciliate/bpf';
import { type Memory, NULL } from '@ciliate/maps';
import { Empty } from './empty.ts';
import { C_BASELINES, External, Unavailable, type Workshop } from './external.ts';
import { withHeapBytes } from './heap.ts';
import { JsMap } from './js_map.ts';
import { policyBytes } from './policy_bytes.ts';
import { type Ground, localSubject, type Subject } from './subject.ts';
import { MAX_QUESTIONS, type Skipped } from './types.ts';

export const BASELINES = ['empty', 'js-map', 'kernel-lpm', 'kernel-hash', ...C_BASELINES] as const;

/** Is this engine or baseline asked for? */
export const isWanted = (names: readonly string[] | undefined, name: string): boolean =>
  names === undefined || names.includes(name);

/** What is timed beside the engines: baselines, and the maps of `map-lookup` and `ipcache`. */
const OTHER_NAMES: readonly string[] = [...BASELINES, 'lpm-trie-map', 'hash-map', 'ipcache'];

/** @throws BpfInputError for a name that nothing here has */
export function checkNames(names: readonly string[] | undefined): void {
  for (const name of names ?? []) if (!OTHER_NAMES.includes(name)) engineByName(name);
}

/** Everything that is compared over one set of entries. */
export class Field {
  readonly memory: Memory;
  readonly engines: { definition: EngineDefinition; engine: PolicyEngine }[] = [];
  readonly skipped: Skipped[] = [];
  private readonly entries: readonly EngineEntry[];
  private readonly jsMap: JsMap | undefined;
  private readonly bytes = new Map<string, number>();
  private readonly externals: External[] = [];

  /** Builds the engines and the JS Map, before there are any questions. */
  constructor(memory: Memory, entries: readonly EngineEntry[], names: readonly string[] | undefined) {
    this.memory = memory;
    this.entries = entries;
    for (const definition of ENGINES.filter(({ name }) => isWanted(names, name))) {
      const engine = definition.create(memory, entries, entries.length);
      this.engines.push({ definition, engine });
      this.bytes.set(definition.name, engine.bytesUsed);
    }
    if (!isWanted(names, 'js-map')) return;
    const { built, bytes } = withHeapBytes(() => new JsMap(memory, entries));
    this.jsMap = built;
    this.bytes.set('js-map', bytes);
  }

  /** The subjects over these questions: every engine in both modes, then the baselines that this machine can run. */
  async subjects(ground: Ground, workshop: Workshop, names: readonly string[] | undefined): Promise<Subject[]> {
    const subjects: Subject[] = [];
    const empty = new Empty(this.memory);
    for (const mode of ['single', 'batch'] as const) {
      subjects.push(await localSubject('empty', '', mode, empty, ground));
      for (const { definition, engine } of this.engines)
        subjects.push(await localSubject(definition.name, definition.profile, mode, engine, ground));
    }
    if (this.jsMap) subjects.push(await localSubject('js-map', '1.18', 'single', this.jsMap, ground));
    const { u8 } = this.memory;
    const questions = u8.subarray(ground.questions, ground.questions + MAX_QUESTIONS * 16);
    workshop.write(this.entries.length, 12, 8, policyBytes(this.memory, this.entries), questions);
    if (isWanted(names, 'c-compiled')) this.writeForm(workshop);
    for (const name of C_BASELINES.filter((baseline) => isWanted(names, baseline))) {
      await this.add(
        [name],
        () => workshop.cCommand(name),
        async (external) => {
          this.bytes.set(name, await external.bytes(name));
          // Their loops are one.
          if (!subjects.some((subject) => subject.name === 'empty-c'))
            subjects.push(external.subject('empty-c', 'empty', ''));
          subjects.push(external.subject(name, name, 'empty-c loop'));
        },
      );
    }
    const kernels = ['kernel-lpm', 'kernel-hash'].filter((name) => isWanted(names, name));
    if (kernels.length > 0) {
      await this.add(
        kernels,
        () => workshop.kernelCommand('policy'),
        async (external) => {
          subjects.push(external.subject('empty-kernel', 'empty', ''));
          for (const name of kernels) {
            const variant = name.replace('kernel-', '');
            this.bytes.set(name, await external.bytes(variant));
            subjects.push(external.subject(name, variant, 'empty-kernel loop'));
          }
        },
      );
    }
    return subjects;
  }

  /** Bytes of the structure for one entry; null = it has none. */
  bytesPerEntry(name: string): number | null {
    const bytes = this.bytes.get(name);
    return bytes === undefined ? null : Math.round(bytes / this.entries.length);
  }

  async destroy(): Promise<void> {
    for (const { engine } of this.engines) engine.destroy();
    await Promise.all(this.externals.map((external) => external.stop()));
  }

  /** What the engine `compiled` makes of these entries. */
  private writeForm(workshop: Workshop): void {
    const engine = engineByName('compiled').create(this.memory, this.entries, this.entries.length);
    // The header lies up to 63 bytes behind the block's begin, so these go as far behind its end: padding.
    const { address = NULL, bytesUsed } = engine;
    workshop.writeForm(address, this.memory.u8.subarray(address, address + bytesUsed));
    engine.destroy();
  }

  private async add(names: string[], command: () => string[], use: (external: External) => Promise<void>) {
    try {
      const external = await External.start(command());
      this.externals.push(external);
      await use(external);
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      for (const engine of names) this.skipped.push({ engine, reason: error.message });
    }
  }
}
