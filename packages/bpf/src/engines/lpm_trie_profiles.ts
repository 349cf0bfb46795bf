import { mapEngine } from './map_engine.ts';
import { profile119 } from './profiles/precedence.ts';
import { profile115, profile116 } from './profiles/six_steps.ts';

export const lpmTrie115 = mapEngine(
  'lpm-trie-1.15',
  profile115,
  'LPM trie under the rule of 1.15: six steps, no port ranges',
);
export const lpmTrie116 = mapEngine(
  'lpm-trie-1.16',
  profile116,
  'LPM trie under the rule of 1.16: six steps, a port range counts as a port',
);
export const lpmTrie119 = mapEngine(
  'lpm-trie-1.19',
  profile119,
  'LPM trie under the rule of 1.19: one precedence decides',
);
