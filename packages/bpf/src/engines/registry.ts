import { compiled } from './compiled/compiled.ts';
import type { EngineDefinition } from './engine.ts';
import { hashFallback112, hashFallback113 } from './hash_fallback.ts';
import { BpfInputError, unknownName } from './input_error.ts';
import { linear } from './linear.ts';
import { lpmTrie } from './lpm_trie.ts';
import { lpmTrie115, lpmTrie116, lpmTrie119 } from './lpm_trie_profiles.ts';
import { sortedList } from './sorted_list.ts';
import { tupleSpace } from './tuple_space.ts';

/** Every lookup engine, one line each: tests, benchmark and report take them from here. */
export const ENGINES: readonly EngineDefinition[] = [
  lpmTrie,
  compiled,
  tupleSpace,
  sortedList,
  linear,
  hashFallback112,
  hashFallback113,
  lpmTrie115,
  lpmTrie116,
  lpmTrie119,
];

/** @throws BpfInputError (BAD_INPUT) that names the engines there are, and the near word */
export function engineByName(name: string): EngineDefinition {
  const found = ENGINES.find((engine) => engine.name === name);
  if (found !== undefined) return found;
  const names = ENGINES.map((engine) => engine.name);
  throw new BpfInputError(unknownName('engine', name, names), { engine: name });
}
