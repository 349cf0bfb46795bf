import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { formatAddress, parseAddress } from '@ciliate/labels';
import { tryDecode } from './decode.ts';
import { DecodeError, InputError, type Problem } from './errors.ts';
import type { K8sObject, Position } from './types.ts';
import { didYouMean, nearestWord } from './words.ts';

const isObjectFile = (name: string): boolean => /\.(ya?ml|json)$/.test(name);

/**
 * Read Kubernetes objects from files (.yaml, .yml, .json) and folders of such files, in the order given; a folder's
 * files by name, without the folders in it. A file that is given twice is read once.
 *
 * @throws InputError for a path that cannot be read or holds no object; DecodeError for objects that are wrong, that
 *   are defined twice, or that claim the same address
 */
export function loadObjects(paths: readonly string[]): K8sObject[] {
  const perFile = new Map<string, ReturnType<typeof tryDecode>>();
  for (const path of paths) {
    let found = 0;
    for (const file of filesOf(path)) {
      const decoded = perFile.get(resolve(file)) ?? tryDecode(readText(file), file);
      perFile.set(resolve(file), decoded);
      found += decoded.objects.length + decoded.problems.length;
    }
    if (found === 0) throw new InputError(`${path}: holds no object`, { path });
  }
  const objects = [...perFile.values()].flatMap((decoded) => decoded.objects);
  const problems = [...perFile.values()].flatMap((decoded) => decoded.problems);
  if (problems.length === 0) problems.push(...clashes(objects));
  if (problems.length > 0) throw new DecodeError(problems);
  return objects;
}

function filesOf(path: string): string[] {
  try {
    if (!statSync(path).isDirectory()) {
      if (isObjectFile(path)) return [path];
      throw new InputError(`${path}: want a .yaml, .yml or .json file, or a folder of them`, { path });
    }
    const names = readdirSync(path, { withFileTypes: true }).filter(
      (entry) => entry.isFile() && isObjectFile(entry.name),
    );
    if (names.length === 0) throw new InputError(`${path}: no .yaml, .yml or .json file in this folder`, { path });
    return names.map(({ name }) => join(path, name)).sort();
  } catch (error) {
    throw error instanceof InputError ? error : unreadable(path, error);
  }
}

function readText(file: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw unreadable(file, error);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new InputError(`${file}: not a text in UTF-8`, { path: file }, cause);
  }
}

function unreadable(path: string, cause: unknown): InputError {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code !== 'ENOENT' && code !== 'ENOTDIR') {
    return new InputError(`${path}: cannot be read (${code ?? String(cause)})`, { path }, cause);
  }
  const near = nearestPath(path);
  return new InputError(`${path}: no such file or folder${didYouMean(near)}`, { path }, cause);
}

/** A path that exists in the same folder and has nearly this name. */
function nearestPath(path: string): string | undefined {
  try {
    const name = nearestWord(basename(path), readdirSync(dirname(path)).sort());
    return name === undefined ? undefined : join(dirname(path), name);
  } catch {
    return undefined; // the folder is not there either: nothing to suggest
  }
}

/** What no two objects may share: kind, namespace and name; and an address. */
function* clashes(objects: readonly K8sObject[]): Generator<Problem> {
  const names = new Map<string, Position>();
  const addresses = new Map<string, { position: Position; title: string }>();
  for (const object of objects) {
    const { position } = object;
    const title = titleOf(object);
    const first = names.get(title);
    if (first !== undefined) {
      yield clash(position, 'metadata.name', `${title} is defined twice; first at ${placeText(first)}`);
      continue;
    }
    names.set(title, position);
    for (const [field, address] of addressesOf(object)) {
      const owner = addresses.get(canonical(address));
      if (owner === undefined) addresses.set(canonical(address), { position, title });
      else
        yield clash(
          position,
          field,
          `${address} is also the address of ${owner.title} at ${placeText(owner.position)}`,
        );
    }
  }
}

const clash = (position: Position, field: string, message: string): Problem => ({
  position,
  field,
  message,
  suggestion: undefined,
});

const placeText = ({ file, line, column }: Position): string => `${file}:${line}:${column}`;

function titleOf({ kind, metadata: { namespace, name } }: K8sObject): string {
  return `${kind} ${namespace === '' ? '' : `${namespace}/`}${name}`;
}

function addressesOf(object: K8sObject): [field: string, address: string][] {
  if (object.kind === 'Pod') return object.status.podIPs.map((address, i) => [fieldOf('status.podIP', i), address]);
  if (object.kind !== 'Service') return [];
  return object.spec.clusterIPs.map((address, i) => [fieldOf('spec.clusterIP', i), address]);
}

/** The first address has a field of its own, beside the list. */
const fieldOf = (first: string, index: number): string => (index === 0 ? first : `${first}s[${index}]`);

/** An IPv6 address has several texts. */
function canonical(text: string): string {
  const address = parseAddress(text);
  return address === undefined ? text : formatAddress(address);
}
