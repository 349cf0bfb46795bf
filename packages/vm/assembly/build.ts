import { writeFileSync } from 'node:fs';
import { helpersCode } from './compile.ts';

writeFileSync(new URL('../src/helpers/code.ts', import.meta.url), await helpersCode());
