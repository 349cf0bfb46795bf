import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

/** Outputs in the documents are what the commands above them print. */
const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MAIN = `${ROOT}packages/cli/src/main.ts`;

/** Commands as documents show them: indented lines (joined by a backslash), and the block of text right behind them. */
const SHOWN = /((?: {4}.*\n)+)\n```text\n([\s\S]*?)```/g;

const FILES = ['README.md', 'docs/drop-or-403.md', 'docs/policy.md', 'docs/trace-a-packet.md'];
const shown = FILES.flatMap((file) =>
  [...readFileSync(`${ROOT}${file}`, 'utf8').matchAll(SHOWN)].map(
    ([, command, output]) => [file, command!.replaceAll('\\\n', ' ').trim(), output!] as const,
  ),
);

test.each(shown)('%s: %s', (_file, command, output) => {
  const [npx, ciliate, ...args] = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(
    ([, quoted, plain]) => quoted ?? plain!,
  );
  expect([npx, ciliate]).toEqual(['npx', 'ciliate']);
  expect(execFileSync(process.execPath, [MAIN, ...args], { cwd: ROOT, encoding: 'utf8' })).toBe(output);
});

test('the documents show all their outputs of commands', () => {
  expect(shown).toHaveLength(11);
});
