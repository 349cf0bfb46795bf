import type { Address, Memory } from '@ciliate/maps';
import fc from 'fast-check';
import {
  type EngineAnswer,
  type EngineEntry,
  type EngineKey,
  type PolicyReader,
  readAnswer,
  writeQuestion,
} from '../../src/index.ts';

export interface Asked {
  egress: boolean;
  identity: number;
  protocol: number;
  dport: number;
  isFragment: boolean;
}

// Few distinct values: equal keys, entries that contain each other and near misses happen all the time.
const identity = fc.constantFrom(0, 1, 2, 1001, 0x8000_0001, 0xffff_ffff);
const protocol = fc.constantFrom(0, 1, 6, 17, 255);
const dport = fc.constantFrom(0, 1, 63, 64, 79, 80, 81, 127, 443, 0x8000, 0xffff);

export const key: fc.Arbitrary<EngineKey> = fc
  .record({ egress: fc.boolean(), identity, protocol, dport, portPrefixLen: fc.integer({ min: 0, max: 16 }) })
  .map((any) => (any.protocol === 0 ? { ...any, dport: 0, portPrefixLen: 0 } : any));

export const entry: fc.Arbitrary<EngineEntry> = fc
  .tuple(
    key,
    fc.record({
      deny: fc.boolean(),
      proxyPort: fc.constantFrom(0, 0, 10_001, 0xffff),
      proxyPortPriority: fc.constantFrom(0, 1, 2, 254, 255),
      authType: fc.constantFrom(0, 0, 1, 2, 127),
      hasExplicitAuth: fc.boolean(),
      precedence: fc.constantFrom(0, 1, 2, 0xffff_fffe, 0xffff_ffff),
      cookie: fc.constantFrom(0, 7, 0xffff_fff7),
    }),
  )
  .map(([of, value]) => ({ ...of, ...value }));

export const asked: fc.Arbitrary<Asked> = fc.record({
  egress: fc.boolean(),
  identity: fc.oneof(identity, fc.constant(9)),
  protocol: fc.constantFrom(0, 1, 6, 17, 132, 255),
  dport: fc.oneof(dport, fc.integer({ min: 0, max: 0xffff })),
  isFragment: fc.boolean(),
});

/** Asks an engine with plain values. */
export class Asker {
  private readonly memory: Memory;
  private readonly questions: Address;
  private readonly answers: Address;
  static readonly MAX = 256;

  constructor(memory: Memory) {
    this.memory = memory;
    this.questions = memory.alloc(16 * Asker.MAX);
    this.answers = memory.alloc(8 * Asker.MAX);
  }

  one(engine: PolicyReader, question: Asked): EngineAnswer {
    this.write(0, question);
    const ret = engine.lookup(this.questions, this.answers);
    const answer = readAnswer(this.memory, this.answers);
    if (ret !== answer.ret) throw new Error(`lookup returns ${ret} and writes ${answer.ret}`);
    return answer;
  }

  batch(engine: PolicyReader, questions: readonly Asked[]): EngineAnswer[] {
    questions.forEach((question, i) => {
      this.write(i, question);
    });
    this.memory.u8.fill(0xaa, this.answers, this.answers + 8 * Asker.MAX);
    engine.lookupBatch(this.questions, this.answers, questions.length);
    const behind = this.answers + 8 * questions.length;
    if (questions.length < Asker.MAX && this.memory.u8[behind] !== 0xaa) throw new Error('writes behind the batch');
    return questions.map((_, i) => readAnswer(this.memory, this.answers + 8 * i));
  }

  /** The question at an index of the last `batch` again, or that many of them; for measuring. */
  repeat(engine: PolicyReader, method: 'lookup' | 'lookupBatch'): (count: number) => void {
    const { questions, answers } = this;
    return method === 'lookup'
      ? (index) => void engine.lookup(questions + 16 * index, answers)
      : (count) => engine.lookupBatch(questions, answers, count);
  }

  private write(index: number, { egress, identity: who, protocol: proto, dport: port, isFragment }: Asked): void {
    writeQuestion(this.memory, this.questions + 16 * index, who, egress, proto, port, isFragment);
  }
}
