import { MapError, Memory } from '@ciliate/maps';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Reference } from '../../src/engines/reference.ts';
import type { EngineAnswer, EngineDefinition, EngineEntry, EngineKey } from '../../src/index.ts';
import { bytesPerCall } from '../bytes_per_call.ts';
import { type Asked, Asker, asked, entry, key } from './support.ts';

const MAX_ENTRIES = 512;

type Step = { update: EngineEntry } | { delete: EngineKey } | { ask: Asked[] };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ update: entry }) },
  { weight: 1, arbitrary: fc.record({ delete: key }) },
  { weight: 2, arbitrary: fc.record({ ask: fc.array(asked, { minLength: 1, maxLength: 11 }) }) },
);
const situation = fc.record({
  first: fc.array(entry, { maxLength: 60 }),
  steps: fc.array(step, { maxLength: 40 }),
  last: fc.array(asked, { minLength: 1, maxLength: 30 }),
});

/** What the linear reference says, as an engine answers. */
export function expected(reference: Reference, question: Asked): EngineAnswer {
  const { ret, proxyPort, matchType, authType } = reference.ask({ ...question, family: 4, hasSkipMark: false });
  // Up to 1.13 the C function returns the proxy port; an engine returns 0 then.
  return { ret: Math.min(ret, 0), proxyPort, matchType, authType };
}

/** What holds for every engine: the tests that a definition must pass. */
export function engineLaws(definition: EngineDefinition, seed: number): void {
  const { create, attach, profile, readOnly, memoises } = definition;
  const memory = Memory.create(64 * 1024 * 1024);
  const asker = new Asker(memory);

  test(`answers as the linear reference of ${profile}, also after updates and deletes`, () => {
    fc.assert(
      fc.property(situation, ({ first, steps, last }) => {
        const reference = new Reference(profile);
        for (const one of first) reference.update(one);
        const engine = create(memory, first, MAX_ENTRIES);
        const check = (questions: Asked[]): void => {
          const want = questions.map((question) => expected(reference, question));
          expect(asker.batch(engine, questions)).toEqual(want);
          expect(questions.map((question) => asker.one(engine, question))).toEqual(want);
        };
        for (const now of steps) {
          if ('update' in now) {
            engine.update(now.update);
            reference.update(now.update);
          } else if ('delete' in now) {
            if (reference.delete(now.delete)) engine.delete(now.delete);
            else expect(() => engine.delete(now.delete)).toThrow(MapError);
          } else check(now.ask);
        }
        check(last);
        engine.destroy();
      }),
      { seed, numRuns: readOnly ? 200 : 300 },
    );
  });

  test('answers as the linear reference where rows are long and identities many', () => {
    const { entries, questions } = manyEntries(seed);
    const reference = new Reference(profile);
    for (const one of entries) reference.update(one);
    const engine = create(memory, entries, entries.length);
    for (let at = 0; at < questions.length; at += Asker.MAX) {
      const some = questions.slice(at, at + Asker.MAX);
      expect(asker.batch(engine, some)).toEqual(some.map((question) => expected(reference, question)));
    }
    engine.destroy();
  });

  if (attach !== undefined)
    test('answers the same to whoever attaches to it, as another thread does: by memory and address', () => {
      const { entries, questions } = manyEntries(seed);
      const engine = create(memory, entries, entries.length);
      const there = Memory.attach(memory.wasm);
      const reader = attach(there, engine.address!);
      const elsewhere = new Asker(there);
      for (let at = 0; at < questions.length; at += Asker.MAX) {
        const some = questions.slice(at, at + Asker.MAX);
        const want = asker.batch(engine, some);
        expect(elsewhere.batch(reader, some)).toEqual(want);
        expect(some.map((question) => elsewhere.one(reader, question))).toEqual(want);
      }
      engine.destroy();
    });

  test('counts its hits if it keeps answers, and only then', () => {
    const engine = create(memory, [], 1);
    expect(typeof engine.hits).toBe(memoises ? 'number' : 'undefined');
    engine.destroy();
  });

  test('says when it is full, and keeps what it has', () => {
    const [first, second] = manyEntries(seed).entries as [EngineEntry, EngineEntry];
    const engine = create(memory, [first], 1);
    expect(() => engine.update(second)).toThrow(/ENOSPC|E2BIG/);
    engine.update({ ...first, deny: true });
    expect(asker.one(engine, { ...first, dport: first.dport, isFragment: false }).ret).toBeLessThan(0);
    expect(() => engine.update({ ...first, protocol: 0, dport: 1 })).toThrow('EINVAL');
    engine.destroy();
  });

  test('lookups allocate nothing', () => {
    const engine = create(memory, fc.sample(entry, { seed, numRuns: 200 }), MAX_ENTRIES);
    asker.batch(engine, fc.sample(asked, { seed, numRuns: 64 }));
    const single = asker.repeat(engine, 'lookup');
    let turn = 0;
    expect(bytesPerCall(() => single(turn++ & 63))).toBeLessThan(1);
    const batch = asker.repeat(engine, 'lookupBatch');
    expect(bytesPerCall(() => batch(11), 2000)).toBeLessThan(1);
    engine.destroy();
  });

  test('gives its memory back', () => {
    const before = memory.usedBytes;
    const engine = create(memory, fc.sample(entry, { seed, numRuns: 200 }), 256);
    expect(engine.bytesUsed).toBeGreaterThan(0);
    expect(memory.usedBytes - before).toBeGreaterThanOrEqual(engine.bytesUsed);
    for (const one of fc.sample(entry, { seed: seed + 1, numRuns: 20 })) engine.update(one);
    engine.destroy();
    expect(memory.usedBytes).toBe(before);
  });
}

/** 1,500 entries: two identities (0 is one) with hundreds of ports and ranges each, the others with a few. */
function manyEntries(seed: number): { entries: EngineEntry[]; questions: Asked[] } {
  const port = fc.integer({ min: 1, max: 0xffff });
  const identity = fc.oneof(fc.constantFrom(0, 7), fc.integer({ min: 256, max: 600 }), fc.constant(0xffff_fffe));
  const spread = fc
    .tuple(entry, identity, port, fc.constantFrom(6, 17))
    .map(([value, who, dport, protocol]) => ({ ...value, egress: false, identity: who, protocol, dport }))
    .map((one) => ({ ...one, portPrefixLen: Math.max(one.portPrefixLen, 8) }));
  const entries = [
    ...fc.sample(spread, { seed, numRuns: 1500 }),
    // Neighbouring ports of one identity: as many intervals as there can be, in more than two levels of nodes.
    ...fc.sample(entry, { seed: seed + 1, numRuns: 400 }).map((value, i) => ({
      ...value,
      egress: true,
      identity: 7,
      protocol: 6,
      dport: 1000 + 2 * i,
      portPrefixLen: 16,
    })),
  ];
  const aimed = entries.map(({ egress, identity: who, protocol, dport }, i) => ({
    egress,
    identity: i % 5 === 0 ? 8 : who,
    protocol,
    dport: i % 3 === 0 ? dport + 1 : dport,
    isFragment: false,
  }));
  return { entries, questions: aimed.map((question) => ({ ...question, dport: question.dport & 0xffff })) };
}
