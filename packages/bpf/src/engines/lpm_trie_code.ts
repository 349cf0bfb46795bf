import {
  type Address,
  type LpmTrie,
  type Memory,
  POLICY_ENTRY,
  POLICY_FULL_PREFIX_BITS,
  type WasmMemory,
} from '@ciliate/maps';
import { CTX_ACT_OK } from '../lib/common.ts';
import { DROP_FRAG_NOSUPPORT, DROP_POLICY, DROP_POLICY_AUTH_REQUIRED, DROP_POLICY_DENY } from '../lib/drop_reasons.ts';
import { matchType } from '../lib/policy.ts';
import * as w from './compiled/wasm.ts';
import { ANSWER, FRAGMENT, QUESTION } from './engine.ts';
import { RANK_DENY } from './record.ts';

/*
 * The verdict of 1.18 on a policy map, in WebAssembly over the shared memory: the walk of trie_lookup_elem
 * (kernel/bpf/lpm_trie.c), node by node, twice; then the choice of `policyCanAccess`, without branches, because what was
 * found is random to a processor. It only reads the map. A value's words are read once each, and a node is whole as long
 * as a reader may hold it, so writers may run beside it as beside `LpmTrie.lookup`.
 */

/** What the code looks up, in a block of its own: numbers are byte offsets. `walks`: how many the last verdict made. */
const TABLES = { masks: 0, types: 520, walks: 776, size: 784 } as const;
/** Of `types`: the index of those that name an identity. */
const NAMES_IDENTITY = 32;

/** The two words of a value. Bits of the first one, `POLICY_ENTRY` as a little-endian word. */
const VALUE = { deny: 1 << 16, bitsShift: 19, authShift: 24, explicit: 1 << 31, denySays: 0xff << 16 } as const;
const AUTH_TYPE = 0x7f;
const PRIORITY_SHIFT = 5;

export interface LpmTrieCode {
  /** @returns the verdict, which is also written at `answer` */
  lookup(tables: Address, question: Address, answer: Address): number;
  /** @param count not 0 */
  lookupBatch(tables: Address, questions: Address, answers: Address, count: number): void;
}

const { add, and, get, i32, load, or, select, set, shl, shrU } = w;
const xor = (a: w.Code, b: w.Code): w.Code => [...a, ...b, 0x73];

/** Index of `walk` among the functions. */
const WALK = 0;

/** (node, key's first word, its second word, tables) -> the node of the longest prefix, or NULL. A key has 64 bits. */
function walk(trie: LpmTrie['layout']): w.WasmFunction {
  const [node, word0, word1, tables, found, bits, mask] = [0, 1, 2, 3, 4, 5, 6] as const;
  const differs = (word: number, offset: number): w.Code =>
    and(xor(load(get(node), trie.data + offset), get(word)), load(get(mask), TABLES.masks + offset));
  const isIntermediate = and(load(get(node), trie.flags), i32(trie.intermediate));
  const word = select(get(word1), get(word0), w.geS(get(bits), i32(32)));
  // Shifts take the count modulo 32; XOR with 7, because words are little-endian and a byte's first bit is its highest.
  const nextBit = and(shrU(word, xor(get(bits), i32(7))), i32(1));
  const step = w.seq(
    set(bits, load(get(node), trie.prefixlen)),
    set(mask, add(get(tables), shl(get(bits), i32(3)))),
    w.when(or(differs(word0, 0), differs(word1, 4)), w.returns(get(found))),
    w.when(w.eq(get(bits), i32(POLICY_FULL_PREFIX_BITS)), w.returns(get(node))),
    set(found, select(get(found), get(node), isIntermediate)),
    set(node, load(add(get(node), shl(nextBit, i32(2))), trie.child0)),
  );
  return {
    name: 'walk',
    params: 4,
    returnsI32: true,
    i32Locals: 3,
    v128Locals: 0,
    body: w.seq(w.when(get(node), w.repeatWhile(step, get(node))), get(found)),
  };
}

/** Parameters and locals of a verdict. L3: what was found for the identity; L4: for any. */
const [TABLES_AT, QUESTION_AT, ANSWER_AT, LEFT] = [0, 1, 2, 3] as const;
const [WORD, L3, L3_VALUE, L4, L4_VALUE, IS_L3, CHOSEN, RANK, AUTH] = [4, 5, 6, 7, 8, 9, 10, 11, 12] as const;
const VARIABLES = 13;

/** Both walks, unless the entry for the identity is a deny. */
function find(trie: LpmTrie['layout']): w.Code {
  const asked = load(get(QUESTION_AT), QUESTION.dport);
  // Protocol, port and direction in the order of the key's bytes: the question has the last byte first.
  const swapped = or(
    or(shrU(asked, i32(24)), and(shrU(asked, i32(8)), i32(0xff00))),
    or(and(shl(asked, i32(8)), i32(0xff_0000)), shl(asked, i32(24))),
  );
  const found = (identity: w.Code): w.Code => w.call(WALK, load(i32(trie.root)), identity, get(WORD), get(TABLES_AT));
  // At NULL there is something else, which does not count.
  const valueAt = (node: number): w.Code => select(load(get(node), trie.value), i32(0), get(node));
  return w.seq(
    set(WORD, swapped),
    set(L3, found(load(get(QUESTION_AT), QUESTION.identity))),
    set(L3_VALUE, valueAt(L3)),
    set(L4, i32(0)),
    w.store(get(TABLES_AT), TABLES.walks, i32(1)),
    w.when(
      w.eqz(and(get(L3_VALUE), i32(VALUE.deny))),
      w.seq(set(L4, found(i32(0))), w.store(get(TABLES_AT), TABLES.walks, i32(2))),
    ),
    set(L4_VALUE, valueAt(L4)),
  );
}

/** As `Record18.rank`: a deny, then the priority, then the longer prefix; 0 = nothing found. */
function rankOf(trie: LpmTrie['layout'], node: number, value: number): w.Code {
  const priority = and(load(get(node), trie.value + POLICY_ENTRY.proxyPortPriority), i32(0xff));
  const rank = add(or(shl(priority, i32(PRIORITY_SHIFT)), bitsOf(value)), i32(1));
  return select(select(i32(RANK_DENY), rank, and(get(value), i32(VALUE.deny))), i32(0), get(node));
}

const bitsOf = (value: number): w.Code => and(shrU(get(value), i32(VALUE.bitsShift)), i32(0x1f));
const authOf = (value: w.Code): w.Code => and(shrU(value, i32(VALUE.authShift)), i32(AUTH_TYPE));

/** The greater rank wins, on a tie the entry for the identity; writes the answer. */
function choose(trie: LpmTrie['layout']): w.Code {
  const [l4Rank, inherited, type] = [WORD, L3, L4] as const; // not needed any more
  const isDeny = w.eq(get(RANK), i32(RANK_DENY));
  const nothing = w.eqz(get(RANK));
  const typeIndex = add(bitsOf(CHOSEN), select(i32(NAMES_IDENTITY), i32(0), get(IS_L3)));
  const port = or(and(shrU(get(CHOSEN), i32(8)), i32(0xff)), shl(and(get(CHOSEN), i32(0xff)), i32(8)));
  const dropped = select(
    i32(DROP_FRAG_NOSUPPORT),
    i32(DROP_POLICY),
    and(load(get(QUESTION_AT), QUESTION.flags), i32(FRAGMENT)),
  );
  const passed = select(i32(DROP_POLICY_AUTH_REQUIRED), i32(CTX_ACT_OK), get(AUTH));
  return w.seq(
    set(RANK, rankOf(trie, L3, L3_VALUE)),
    set(l4Rank, rankOf(trie, L4, L4_VALUE)),
    set(IS_L3, w.geS(get(RANK), get(l4Rank))),
    set(RANK, select(get(RANK), get(l4Rank), get(IS_L3))),
    set(CHOSEN, select(get(L3_VALUE), get(L4_VALUE), get(IS_L3))),
    set(inherited, authOf(select(get(L4_VALUE), get(L3_VALUE), get(IS_L3)))),
    // A deny has neither port nor authentication, and takes none over.
    set(CHOSEN, select(or(and(get(CHOSEN), i32(VALUE.denySays)), i32(VALUE.explicit)), get(CHOSEN), isDeny)),
    set(AUTH, authOf(get(CHOSEN))),
    set(
      AUTH,
      // The sign bit is `explicit`.
      select(get(inherited), get(AUTH), and(w.geS(get(CHOSEN), i32(0)), w.gtS(get(inherited), get(AUTH)))),
    ),
    set(type, select(i32(0), load(add(get(TABLES_AT), shl(typeIndex, i32(2))), TABLES.types), nothing)),
    w.store(get(ANSWER_AT), ANSWER.ret, select(i32(DROP_POLICY_DENY), select(dropped, passed, nothing), isDeny)),
    w.store(get(ANSWER_AT), ANSWER.proxyPort, or(port, or(shl(get(type), i32(16)), shl(get(AUTH), i32(24))))),
  );
}

/** The code for the trie of one policy map. */
export function lpmTrieCode(wasm: WasmMemory, { layout }: LpmTrie): LpmTrieCode {
  const verdict = w.seq(find(layout), choose(layout));
  const next = w.seq(
    set(QUESTION_AT, add(get(QUESTION_AT), i32(QUESTION.size))),
    set(ANSWER_AT, add(get(ANSWER_AT), i32(ANSWER.size))),
    set(LEFT, w.sub(get(LEFT), i32(1))),
  );
  const local = (params: number) => ({ params, i32Locals: VARIABLES - params, v128Locals: 0 });
  const lookup = w.seq(verdict, load(get(ANSWER_AT), ANSWER.ret));
  const batch = w.repeatWhile(w.seq(verdict, next), get(LEFT));
  const functions: w.WasmFunction[] = [
    walk(layout),
    { name: 'lookup', ...local(3), returnsI32: true, body: lookup },
    { name: 'lookupBatch', ...local(4), returnsI32: false, body: batch },
  ];
  return w.instantiate(w.compile(w.assemble(functions)), wasm) as unknown as LpmTrieCode;
}

/** Makes the block of tables that the code wants. @throws MapError ENOMEM */
export function createTables(memory: Memory): Address {
  const at = memory.alloc(TABLES.size);
  for (let bits = 0; bits <= POLICY_FULL_PREFIX_BITS; bits++)
    for (let bit = 0; bit < bits; bit++) memory.u8[at + TABLES.masks + bits * 8 + (bit >> 3)]! |= 0x80 >> (bit & 7);
  for (let bits = 0; bits < NAMES_IDENTITY; bits++) {
    const types = (at + TABLES.types) >> 2;
    memory.i32[types + bits] = matchType(bits, false);
    memory.i32[types + NAMES_IDENTITY + bits] = matchType(bits, true);
  }
  return at;
}

/** Bytes of that block. */
export const TABLES_BYTES = TABLES.size;
export const freeTables = (memory: Memory, tables: Address): void => memory.free(tables, TABLES.size);
/** Walks of the last verdict. */
export const walksMade = (memory: Memory, tables: Address): number => memory.i32[(tables + TABLES.walks) >> 2]!;
