import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { underProgram } from '@ciliate/bpf';
import { InputError } from '@ciliate/k8s';
import { type BpfObject, type LookupEngineMaker, loadObject } from '@ciliate/vm';
import { InvalidArgumentError, Option } from 'commander';

const ENGINES = ['compiled', 'checked', 'interpreter'];
const ENGINE = 'WebAssembly; WebAssembly with every access to memory checked; or instruction by instruction';

export const engineOption = (): Option => new Option('--engine <name>', ENGINE).choices(ENGINES).default('compiled');

type MapEngines = ReadonlyMap<string, LookupEngineMaker>;
const MAP_ENGINE = 'put a policy lookup engine under the program, in place of the map; may be repeated';

export const mapEngineOption = (): Option =>
  new Option('--map-engine <map=engine>', MAP_ENGINE).argParser((text: string, before: MapEngines = new Map()) => {
    const match = /^([^=]+)=(.+)$/.exec(text);
    if (match === null) throw new InvalidArgumentError('want MAP=ENGINE, as cilium_policy_v2=tuple-space.');
    return new Map([...before, [match[1]!, underProgram(match[2]!)]]);
  });

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
