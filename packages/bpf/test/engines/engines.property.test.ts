import { describe } from 'vitest';
import { ENGINES } from '../../src/index.ts';
import { engineLaws } from './laws.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fff_ffff);
console.log(`seed ${seed}`);

describe.each(ENGINES)('$name', (definition) => {
  engineLaws(definition, seed);
});
