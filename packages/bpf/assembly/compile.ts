import { main } from 'assemblyscript/asc';

/** Compiles `known.ts` beside this file. @returns the text of src/lib/known_code.ts. @throws Error with the compiler's words */
export async function knownCode(): Promise<string> {
  let wasm: Uint8Array | undefined;
  const said: string[] = [];
  const options = ['-O3', '--converge', '--noAssert', '--runtime', 'stub', '--outFile', 'known.wasm'];
  const shared = ['--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '32768'];
  const { error } = await main(
    ['known.ts', ...options, ...shared, '--enable', 'threads', '--baseDir', import.meta.dirname],
    {
      stderr: { write: (text: string | Uint8Array) => said.push(String(text)) > 0 },
      writeFile: (_name: string, contents: string | Uint8Array) => {
        wasm = contents as Uint8Array;
      },
    } as unknown as Parameters<typeof main>[1],
  );
  if (error !== null || wasm === undefined) throw new Error(said.join(''), { cause: error });
  const lines = Buffer.from(wasm)
    .toString('base64')
    .match(/.{1,110}/g)!;
  const text = lines.map((line) => `  '${line}'`).join(' +\n');
  return `// Made of assembly/known.ts by assembly/build.ts (npm run wasm); a test compares.\nexport const KNOWN_WASM: string =\n${text};\n`;
}
