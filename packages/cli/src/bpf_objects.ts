import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { InputError } from '@ciliate/k8s';
import { type BpfObject, loadObject } from '@ciliate/vm';
import { Option } from 'commander';

const ENGINES = ['compiled', 'checked', 'interpreter'];
const ENGINE = 'WebAssembly; WebAssembly with every access to memory checked; or instruction by instruction';

export const engineOption = (): Option => new Option('--engine <name>', ENGINE).choices(ENGINES).default('compiled');

/** Files as they are; of folders, the object files in them by name. @throws InputError */
export function objectFiles(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    if (!stat(path).isDirectory()) return [path];
    const files = readdirSync(path)
      .filter((file) => file.endsWith('.o'))
      .sort();
    if (files.length === 0) throw new InputError(`${path}: no object files (*.o) in this folder`, {});
    return files.map((file) => join(path, file));
  });
}

/** @throws InputError, VmError BAD_INPUT */
export function readObject(path: string): BpfObject {
  if (stat(path).isDirectory()) throw new InputError(`${path}: a folder; want an object file`, {});
  return loadObject(readFileSync(path), basename(path));
}

function stat(path: string): ReturnType<typeof statSync> & object {
  try {
    return statSync(path);
  } catch (error) {
    throw new InputError(
      `${path}: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : (error as Error).message}`,
      {},
    );
  }
}
