import { writeFileSync } from 'node:fs';
import { knownCode } from './compile.ts';

writeFileSync(new URL('../src/lib/known_code.ts', import.meta.url), await knownCode());
