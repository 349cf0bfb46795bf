import { codeText } from '../../vm/assembly/compile.ts';

/** Compiles `known.ts` beside this file. @returns the text of src/lib/known_code.ts. @throws Error with the compiler's words */
export const knownCode = (): Promise<string> => codeText(import.meta.dirname, 'known.ts', 'KNOWN_WASM');
