import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isInstalled, ROOT } from './live.ts';

/** Pages about live clusters: each line with `$` is run in turn, and prints what stands below it. */
const PAGES: readonly (readonly [page: string, folder: string])[] = [['docs/tls.md', 'examples/tls']];
const SHOWN = /^ {4}\$ (.*)\n((?: {4}(?!\$ ).*\n)*)/gm;

describe.skipIf(!isInstalled('curl')).each(PAGES)('%s', (page, lab) => {
  // The API is found in the folder for temporary files, and `npx` by the path.
  const folder = mkdtempSync(join(tmpdir(), 'ciliate-'));
  const env = { ...process.env, TMPDIR: folder, PATH: `${folder}:${process.env.PATH}` };
  let up: ChildProcess;

  beforeAll(async () => {
    const main = `${ROOT}packages/cli/src/main.ts`;
    writeFileSync(join(folder, 'npx'), `#!/bin/sh\nshift\nexec '${process.execPath}' '${main}' "$@"\n`, {
      mode: 0o755,
    });
    up = spawn(process.execPath, [main, 'up', '-f', lab], { cwd: ROOT, env });
    let said = '';
    await new Promise<void>((resolve, reject) => {
      up.stdout!.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        if (said.endsWith('ready\n')) resolve();
      });
      up.on('exit', (code) => reject(new Error(`up ended with ${code}`)));
    });
  });
  afterAll(() => {
    up.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  });

  const lines = [...readFileSync(`${ROOT}${page}`, 'utf8').matchAll(SHOWN)];
  test('shows commands', () => expect(lines.length).toBeGreaterThan(5));

  test.each(lines.map(([, command, output]) => [command!, output!.replace(/^ {4}/gm, '')]))(
    '%s',
    async (command, output) => {
      const stdout = await new Promise<string>((resolve) => {
        execFile('sh', ['-c', command], { cwd: ROOT, env }, (_error, text) => resolve(text));
      });
      // Who made the page, and who reads it, may have other versions of curl.
      expect(stdout.replaceAll('\r', '').replace(/curl\/[\d.]+/, 'curl')).toBe(output);
    },
  );
});
