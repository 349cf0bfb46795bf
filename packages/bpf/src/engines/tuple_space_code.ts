import type { Address, WasmMemory } from '@ciliate/maps';
import { choose } from './compiled/choice.ts';
import * as w from './compiled/wasm.ts';
import { ANSWER, QUESTION } from './engine.ts';
import { RANK_DENY } from './record.ts';

/*
 * Tuple-space search in WebAssembly over the shared memory. A space is a block that says where its tables are: a free slot,
 * which stands for nothing found, then two lists of tuples, the longest prefix first.
 */

/** A slot of a tuple's table: identity, masked word, and the record, u32 each; rank 0 = free. */
export const SLOT = { size: 16, shift: 4, identity: 0, word: 4, said: 8, rank: 12 } as const;

/** A tuple: which bits of the word its keys name, where its table is, and its capacity - 1. `start` NULL ends a list. */
const TUPLE = { size: 16, mask: 0, start: 4, last: 8 } as const;

/** There are 18 prefix lengths (0, and 8 to 24), and the end. */
const LIST_BYTES = 19 * TUPLE.size;
export const SPACE = { nothing: 0, ofAny: SLOT.size, ofIdentity: SLOT.size + LIST_BYTES } as const;
export const SPACE_BYTES = SLOT.size + 2 * LIST_BYTES;

const FACTOR = [0x9e37_79b1, 0x85eb_ca6b] as const;
const { add, and, get, i32, load, or, select, set, shl, shrU, xor } = w;

/** Its lowest bits are the index in a table. */
export function hash(identity: number, word: number): number {
  const h = Math.imul(Math.imul(identity, FACTOR[0]) ^ word, FACTOR[1]);
  return h ^ (h >>> 15);
}

/** Indices of the two forms of `search` among the functions. Counting costs a tenth of the time. */
const SEARCH = 0;
const COUNTED_SEARCH = 1;

/** (space, its list, identity, word) -> the slot of the longest prefix, or the space's free one */
function search(counts: boolean): w.WasmFunction {
  const [space, tuple, identity, word, hashed, masked, index, slot, start, last, rank] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
  ] as const;
  const differs = or(xor(load(get(slot), SLOT.word), get(masked)), xor(load(get(slot), SLOT.identity), get(identity)));
  const probe = w.seq(
    counts ? w.setCounter(add(w.counter, i32(1))) : [],
    set(slot, add(get(start), shl(and(get(index), get(last)), i32(SLOT.shift)))),
    set(rank, load(get(slot), SLOT.rank)),
    w.when(and(w.eqz(differs), w.ne(get(rank), i32(0))), w.returns(get(slot))),
    set(index, add(get(index), i32(1))),
  );
  const ask = w.seq(
    set(start, load(get(tuple), TUPLE.start)),
    set(last, load(get(tuple), TUPLE.last)),
    set(masked, and(get(word), load(get(tuple), TUPLE.mask))),
    set(index, w.mul(xor(get(hashed), get(masked)), i32(FACTOR[1]))),
    set(index, xor(get(index), shrU(get(index), i32(15)))),
    w.repeatWhile(probe, get(rank)),
    set(tuple, add(get(tuple), i32(TUPLE.size))),
  );
  const isThere = load(get(tuple), TUPLE.start);
  return {
    name: counts ? 'countedSearch' : 'search',
    params: 4,
    returnsI32: true,
    i32Locals: 7,
    v128Locals: 0,
    body: w.seq(
      set(hashed, w.mul(get(identity), i32(FACTOR[0]))),
      w.when(isThere, w.repeatWhile(ask, isThere)),
      add(get(space), i32(SPACE.nothing)),
    ),
  };
}

const [SPACE_AT, QUESTION_AT, ANSWER_AT, LEFT] = [0, 1, 2, 3] as const;
const [IDENTITY, WORD, L3, L4, IS_L3, CHOSEN, OTHER, SAID, AUTH, INHERITED, RANK] = [
  4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
] as const;
const VARIABLES = 15;

/** One verdict: behind a deny for the identity there is nothing to look for. @param find index of the search */
function verdict(find: number): w.Code {
  const listOf = (list: number): w.Code => add(get(SPACE_AT), i32(list));
  const listOfIdentity = select(listOf(SPACE.ofIdentity), listOf(SPACE.ofAny), get(IDENTITY));
  const bits = and(shrU(get(SAID), i32(16)), i32(0xff));
  // POLICY_MATCH_*, as `matchType` says it.
  const typeFor = (l3l4: number, proto: number, alone: number): w.Code =>
    select(select(i32(l3l4), i32(proto), w.gtS(bits, i32(8))), i32(alone), bits);
  const type = select(select(typeFor(2, 5, 1), typeFor(3, 6, 4), get(IS_L3)), i32(0), get(RANK));
  const locals = {
    l3: L3,
    l4: L4,
    isL3: IS_L3,
    chosen: CHOSEN,
    other: OTHER,
    said: SAID,
    auth: AUTH,
    inherited: INHERITED,
    rank: RANK,
  };
  const portAndType = or(and(get(SAID), i32(0xffff)), shl(type, i32(16)));
  const flags = load(get(QUESTION_AT), QUESTION.flags);
  return w.seq(
    set(IDENTITY, load(get(QUESTION_AT), QUESTION.identity)),
    set(WORD, load(get(QUESTION_AT), QUESTION.dport)),
    set(L3, w.call(find, get(SPACE_AT), listOfIdentity, get(IDENTITY), get(WORD))),
    set(
      L4,
      w.either(
        w.eq(load(get(L3), SLOT.rank), i32(RANK_DENY)),
        listOf(SPACE.nothing),
        w.call(find, get(SPACE_AT), listOf(SPACE.ofAny), i32(0), get(WORD)),
      ),
    ),
    choose(locals, SLOT, flags, get(ANSWER_AT), 0, portAndType),
  );
}

export interface TupleSpaceCode {
  /** @returns the verdict, which is also written at `answer` */
  lookup(space: Address, question: Address, answer: Address): number;
  /** @param count not 0 */
  lookupBatch(space: Address, questions: Address, answers: Address, count: number): void;
  /** Probes of the last `lookup`. */
  readonly counter: { readonly value: number };
}

/** The code, for one memory. */
export function tupleSpaceCode(wasm: WasmMemory): TupleSpaceCode {
  const next = w.seq(
    set(QUESTION_AT, add(get(QUESTION_AT), i32(QUESTION.size))),
    set(ANSWER_AT, add(get(ANSWER_AT), i32(ANSWER.size))),
    set(LEFT, w.sub(get(LEFT), i32(1))),
  );
  const local = (params: number) => ({ params, i32Locals: VARIABLES - params, v128Locals: 0 });
  const lookup = w.seq(w.setCounter(i32(0)), verdict(COUNTED_SEARCH), load(get(ANSWER_AT), ANSWER.ret));
  const batch = w.repeatWhile(w.seq(verdict(SEARCH), next), get(LEFT));
  const functions: w.WasmFunction[] = [
    search(false),
    search(true),
    { name: 'lookup', ...local(3), returnsI32: true, body: lookup },
    { name: 'lookupBatch', ...local(4), returnsI32: false, body: batch },
  ];
  return w.instantiate(w.compile(w.assemble(functions)), wasm) as unknown as TupleSpaceCode;
}
