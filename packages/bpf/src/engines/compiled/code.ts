import type { Address, WasmMemory } from '@ciliate/maps';
import { ANSWER, QUESTION } from '../engine.ts';
import { choose } from './choice.ts';
import { BUCKET, DIRECTION, HASH_FACTOR, HEADER_BYTES, NODE, RECORD, ROW } from './layout.ts';
import * as w from './wasm.ts';

const { add, and, get, i32, load, select, set, shl, shrU } = w;

/** How many of the 16 boundaries at `node` are not above the key. `above`: a v128 of the key and 1. */
function rankInNode(node: w.Code, above: w.Code): w.Code {
  const quarter = (offset: number): w.Code => w.i32x4GtS(above, w.loadV128(node, offset));
  const low = w.i16x8NarrowI32x4S(quarter(0), quarter(16));
  const high = w.i16x8NarrowI32x4S(quarter(32), quarter(48));
  return w.popcnt(w.i8x16Bitmask(w.i8x16NarrowI16x8S(low, high)));
}

/** Index of `descend` among the functions. */
const DESCEND = 0;

/** (row, key, rank in the root) -> address of the record's reference, for a row of more than one level. */
function descend(): w.WasmFunction {
  const [row, key, rank, height, node, levels, index, above] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
  const leaf = add(shl(get(index), i32(6)), shl(get(rank), i32(2))); // 16 references each; ranks count from 1
  return {
    name: 'descend',
    params: 3,
    returnsI32: true,
    i32Locals: 4,
    v128Locals: 1,
    body: w.seq(
      set(height, and(get(row), i32(ROW.heightMask))),
      set(row, and(get(row), i32(~ROW.tagMask))),
      set(levels, w.sub(get(row), i32(ROW.levels))),
      set(above, w.i32x4Splat(add(get(key), i32(1)))),
      w.repeatWhile(
        w.seq(
          set(index, add(w.mul(get(index), i32(NODE.children)), get(rank))),
          set(node, add(load(get(levels)), shl(get(index), i32(6)))),
          set(levels, w.sub(get(levels), i32(4))),
          set(rank, rankInNode(get(node), get(above))),
          set(height, w.sub(get(height), i32(1))),
        ),
        get(height),
      ),
      w.sub(add(load(w.sub(get(row), i32(ROW.refs))), leaf), i32(4)),
    ),
  };
}

/** A lookup in progress: the locals it works in, and which question and answer it is, counted from the current ones. */
class Lane {
  static readonly I32_LOCALS = 7;
  static readonly V128_LOCALS = 1;
  private readonly question: w.Code;
  private readonly answer: w.Code;
  private readonly ahead: number;
  private readonly header: w.Code;
  private readonly key: w.Code;
  private readonly word: number;
  private readonly direction: number;
  private readonly bucket: number;
  private readonly hit: number;
  private readonly row: number;
  private readonly l3: number;
  private readonly l4: number;
  private readonly vector: number;

  /** @param of how many lanes the function has; their locals follow its parameters */
  constructor(params: { header: number; question: number; answer: number; count: number }, lane: number, of: number) {
    this.header = get(params.header);
    this.question = get(params.question);
    this.answer = get(params.answer);
    this.ahead = lane;
    const first = params.count + lane * Lane.I32_LOCALS;
    this.word = first;
    this.direction = first + 1;
    this.bucket = first + 2;
    this.hit = first + 3;
    this.row = first + 4;
    this.l3 = first + 5;
    this.l4 = first + 6;
    this.vector = params.count + of * Lane.I32_LOCALS + lane;
    this.key = and(get(this.word), i32(0xff_ffff));
  }

  /** The identity's row: its bucket has four identities, then their rows. */
  findRow(): w.Code {
    const { word, direction, bucket, hit, row, vector } = this;
    const identity = this.asked(QUESTION.identity);
    const hash = shrU(w.mul(identity, i32(HASH_FACTOR)), load(get(direction), DIRECTION.hashShift));
    const look = set(hit, w.i32x4Bitmask(w.i32x4Eq(w.loadV128(get(bucket)), get(vector))));
    const isElsewhere = and(w.eqz(get(hit)), w.ne(load(get(bucket), BUCKET.lastIdentity), i32(0)));
    const found = add(add(get(bucket), i32(BUCKET.rows)), shl(w.ctz(get(hit)), i32(2)));
    return w.seq(
      set(word, this.asked(QUESTION.dport)),
      set(direction, add(this.header, shl(shrU(get(word), i32(24)), i32(DIRECTION.shift)))),
      set(bucket, add(load(get(direction), DIRECTION.table), shl(hash, i32(BUCKET.shift)))),
      set(vector, w.i32x4Splat(identity)),
      look,
      w.when(isElsewhere, w.repeatWhile(w.seq(set(bucket, add(get(bucket), i32(BUCKET.bytes))), look), isElsewhere)),
      set(row, load(select(found, add(get(direction), i32(DIRECTION.emptyRow)), get(hit)))),
    );
  }

  /** The key's rank in the roots of the identity's row and of the one for any. */
  searchRoots(): w.Code {
    const { direction, bucket, row, l3, l4, vector } = this;
    return w.seq(
      set(vector, w.i32x4Splat(add(this.key, i32(1)))),
      set(l3, rankInNode(and(get(row), i32(~ROW.tagMask)), get(vector))),
      set(bucket, load(get(direction), DIRECTION.anyRow)),
      set(l4, rankInNode(and(get(bucket), i32(~ROW.tagMask)), get(vector))),
    );
  }

  /** From the ranks to the records. */
  searchLeaves(): w.Code {
    const reference = (row: number, rank: number): w.Code =>
      w.either(
        and(get(row), i32(ROW.heightMask)),
        w.call(DESCEND, get(row), this.key, get(rank)),
        add(add(clean(row), and(get(row), i32(ROW.wide))), add(shl(get(rank), i32(2)), i32(ROW.smallRefs - 4))),
      );
    const clean = (row: number): w.Code => and(get(row), i32(~ROW.tagMask));
    const record = (reference: w.Code): w.Code => add(this.header, shl(load(reference), i32(RECORD.shift)));
    return w.seq(
      set(this.l3, record(reference(this.row, this.l3))),
      set(this.l4, record(reference(this.bucket, this.l4))),
    );
  }

  choose(): w.Code {
    const { word, direction, bucket, hit, row, l3, l4 } = this;
    const locals = {
      l3,
      l4,
      isL3: hit,
      chosen: row,
      other: bucket,
      said: l3,
      auth: l4,
      inherited: direction,
      rank: word,
    };
    const record = { said: HEADER_BYTES + RECORD.said, rank: HEADER_BYTES + RECORD.rank };
    const flags = this.asked(QUESTION.flags);
    return choose(locals, record, flags, this.answer, this.ahead * ANSWER.size, and(get(locals.said), i32(0xff_ffff)));
  }

  private asked(field: number): w.Code {
    return load(this.question, this.ahead * QUESTION.size + field);
  }
}

/** Each step of all lanes before the next one: the loads of a step wait for memory together. */
function lanesOf(params: ConstructorParameters<typeof Lane>[0], count: number): w.Code {
  const lanes = Array.from({ length: count }, (_, lane) => new Lane(params, lane, count));
  return w.seq(
    ...lanes.map((lane) => lane.findRow()),
    ...lanes.map((lane) => lane.searchRoots()),
    ...lanes.map((lane) => lane.searchLeaves()),
    ...lanes.map((lane) => lane.choose()),
  );
}

/** (header, question, answer) -> ret */
function lookup(): w.WasmFunction {
  const params = { header: 0, question: 1, answer: 2, count: 3 };
  return {
    name: 'lookup',
    params: params.count,
    returnsI32: true,
    i32Locals: Lane.I32_LOCALS,
    v128Locals: Lane.V128_LOCALS,
    body: w.seq(lanesOf(params, 1), load(get(params.answer), ANSWER.ret)),
  };
}

/** Questions whose lookups `lookupGroups` does side by side. */
export const AT_ONCE = 4;

/** (header, questions, answers, how many, a multiple of AT_ONCE and not 0) */
function lookupGroups(): w.WasmFunction {
  const params = { header: 0, question: 1, answer: 2, count: 4 };
  const left = 3;
  const step = w.seq(
    lanesOf(params, AT_ONCE),
    set(params.question, add(get(params.question), i32(AT_ONCE * QUESTION.size))),
    set(params.answer, add(get(params.answer), i32(AT_ONCE * ANSWER.size))),
    set(left, w.sub(get(left), i32(AT_ONCE))),
  );
  return {
    name: 'lookupGroups',
    params: params.count,
    returnsI32: false,
    i32Locals: AT_ONCE * Lane.I32_LOCALS,
    v128Locals: AT_ONCE * Lane.V128_LOCALS,
    body: w.repeatWhile(step, get(left)),
  };
}

/** What `compiledCode` exports. */
export interface CompiledCode {
  lookup(header: Address, question: Address, answer: Address): number;
  lookupGroups(header: Address, questions: Address, answers: Address, count: number): void;
}
/** The code, for one memory. */
export function compiledCode(wasm: WasmMemory): CompiledCode {
  return w.instantiate(w.compile(w.assemble([descend(), lookup(), lookupGroups()])), wasm) as unknown as CompiledCode;
}
