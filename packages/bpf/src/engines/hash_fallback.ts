import { mapEngine } from './map_engine.ts';
import { profile112, profile113 } from './profiles/hash.ts';

export const hashFallback112 = mapEngine(
  'hash-fallback-1.12',
  profile112,
  'BPF hash; exact keys with wildcards, up to 4 lookups',
);
export const hashFallback113 = mapEngine(
  'hash-fallback-1.13',
  profile113,
  'BPF hash; exact keys with wildcards, up to 5 lookups',
);
