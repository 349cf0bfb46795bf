/**
 * The rooms of the house, from the ground up: a package imports only from packages before it in this list, and only what
 * its package.json names. Run by `npm run check`; prints each import that points upwards and exits 1.
 */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOMS = [
  'maps',
  'vm',
  'packet',
  'bpf',
  'labels',
  'k8s',
  'kvstore',
  'identity',
  'policy',
  'loadbalancer',
  'envoy',
  'hubble',
  'agent',
  'replay',
  'live',
  'cli',
];

/** Must not leave the package: such an import would pass by the order of the rooms. */
const RELATIVE = /(?:from|import)\s*\(?\s*['"](\.\.?\/[^'"]+)['"]/g;
const IMPORT = /(?:from|import)\s*\(?\s*['"]@ciliate\/([\w-]+)/g;

/** One line for each import, in source or package.json, that the order of the rooms forbids. */
export function forbiddenImports(root: string): string[] {
  const problems: string[] = [];
  const check = (room: string, target: string, where: string): void => {
    if (target === room) problems.push(`${where}: ${room} imports itself by name; use a relative path`);
    else if (!ROOMS.includes(target)) problems.push(`${where}: ${target} is not a room of test/rooms.ts`);
    else if (ROOMS.indexOf(target) > ROOMS.indexOf(room))
      problems.push(`${where}: ${room} imports ${target}, which is above it`);
  };
  for (const manifest of globSync('packages/*/package.json', { cwd: root })) {
    const room = manifest.split(/[\\/]/)[1]!;
    if (!ROOMS.includes(room)) problems.push(`${manifest}: ${room} is not a room of test/rooms.ts`);
    const { dependencies = {} } = JSON.parse(readFileSync(`${root}/${manifest}`, 'utf8'));
    const named = Object.keys(dependencies).flatMap((name) => name.match(/^@ciliate\/(.*)/)?.[1] ?? []);
    for (const target of named) check(room, target, manifest);
    for (const file of globSync(`packages/${room}/{src,test}/**/*.ts`, { cwd: root })) {
      const source = readFileSync(`${root}/${file}`, 'utf8');
      for (const [, target] of source.matchAll(IMPORT)) {
        check(room, target!, file);
        if (!named.includes(target!)) problems.push(`${file}: imports ${target}, which ${manifest} does not name`);
      }
      for (const [, path] of source.matchAll(RELATIVE))
        if (relative(`packages/${room}`, join(dirname(file), path!)).startsWith('..'))
          problems.push(`${file}: ${path} leaves the package; import a room by its name`);
    }
  }
  return problems;
}

if (import.meta.main) {
  const problems = forbiddenImports(fileURLToPath(new URL('..', import.meta.url)));
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
