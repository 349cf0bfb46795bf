type Text = string | Uint8Array;
type Compile = (
  args: readonly string[],
  io: { stderr: { write(text: Text): unknown }; writeFile(name: string, contents: Text): void },
) => Promise<{ error: unknown }>;

/** By its name only: the compiler's types declare a `console` of their own for every file. */
const COMPILER: string = 'assemblyscript/asc';

/** Compiles `helpers.ts` beside this file. @returns the text of src/helpers/code.ts. @throws Error with the compiler's words */
export const helpersCode = (): Promise<string> => codeText(import.meta.dirname, 'helpers.ts', 'HELPERS_WASM');

/**
 * @param folder where the file lies, to be run on the shared memory
 * @returns TypeScript that exports the module's bytes, in base64, as `constant`
 * @throws Error with the compiler's words
 */
export async function codeText(folder: string, file: string, constant: string): Promise<string> {
  const { main } = (await import(COMPILER)) as { main: Compile };
  let wasm: Uint8Array | undefined;
  const said: string[] = [];
  const options = ['-O3', '--converge', '--noAssert', '--runtime', 'stub', '--outFile', 'out.wasm'];
  const shared = ['--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '32768'];
  const place = ['--enable', 'threads', '--baseDir', folder];
  const { error } = await main([file, ...options, ...shared, ...place], {
    stderr: { write: (text) => said.push(String(text)) },
    writeFile: (_, contents) => {
      wasm = contents as Uint8Array;
    },
  });
  if (error !== null || wasm === undefined) throw new Error(said.join(''), { cause: error });
  const lines = Buffer.from(wasm)
    .toString('base64')
    .match(/.{1,110}/g)!;
  const text = lines.map((line) => `  '${line}'`).join(' +\n');
  return `// Made of assembly/${file} by assembly/build.ts (npm run wasm); a test compares.\nexport const ${constant}: string =\n${text};\n`;
}
