import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './live.ts';

const MAIN = `${ROOT}packages/cli/src/main.ts`;

/** A command of a session that a document shows, and what it printed. */
export interface Shown {
  readonly command: string;
  readonly output: string;
}

/** Sessions in a document: indented lines; what begins with `$ ` is a command, what follows its output. */
export function sessionOf(document: string): Shown[] {
  const shown: { command: string; output: string }[] = [];
  for (const [block] of document.matchAll(/(?:^ {4}.*\n)+/gm)) {
    const lines = block.split('\n').map((line) => line.slice(4));
    lines.pop();
    for (const line of lines) {
      if (line.startsWith('$ ')) shown.push({ command: line.slice(2), output: '' });
      else if (lines[0]!.startsWith('$ ')) shown.at(-1)!.output += `${line}\n`;
    }
  }
  return shown;
}

/** Without what documents cannot show (CR), and what differs from run to run: times, ports that clients got, which of two backends was chosen. */
export const steady = (text: string): string =>
  text
    .replaceAll('\r', '')
    .replace(/^\w{3} [ \d]\d \d\d:\d\d:\d\d\.\d{3}/gm, 'TIME')
    .replace(/:3\d{4}\b/g, ':PORT')
    .replace(/\bdeathstar-[12]\b/g, 'deathstar-N')
    .replace(/ \d+ms /g, ' Nms ');

/**
 * Runs commands as a user types them, in a shell where `npx ciliate` is this project and clusters are nobody else's;
 * `npx ciliate up` runs in the background until it says that it is ready, in the place of the one before.
 */
export class Terminal {
  readonly #folder = mkdtempSync(join(tmpdir(), 'ciliate-'));
  #up: ReturnType<typeof spawn> | undefined;

  constructor() {
    mkdirSync(join(this.#folder, 'bin'));
    const npx = join(this.#folder, 'bin', 'npx');
    writeFileSync(npx, `#!/bin/sh\nshift\nexec ${process.execPath} ${MAIN} "$@"\n`, { mode: 0o755 });
    symlinkSync(process.execPath, join(this.#folder, 'bin', 'node'));
  }

  /** @returns all that it printed, on both streams */
  async run(command: string): Promise<string> {
    if (command.startsWith('npx ciliate up ')) return this.#start(command);
    return new Promise((resolve) => {
      execFile('sh', ['-c', `{ ${command}; } 2>&1`], { cwd: ROOT, env: this.#env }, (_error, stdout) =>
        resolve(stdout),
      );
    });
  }

  async close(): Promise<void> {
    await this.#stop();
    rmSync(this.#folder, { recursive: true });
  }

  get #env(): NodeJS.ProcessEnv {
    return { ...process.env, TMPDIR: this.#folder, PATH: `${join(this.#folder, 'bin')}:${process.env.PATH}` };
  }

  async #start(command: string): Promise<string> {
    await this.#stop();
    const up = spawn('sh', ['-c', `exec ${command}`], { cwd: ROOT, env: this.#env });
    this.#up = up;
    await new Promise<void>((resolve, reject) => {
      let said = '';
      up.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        if (said.endsWith('ready\n')) resolve();
      });
      up.on('exit', (code) => reject(new Error(`${command} ended with ${code}`)));
    });
    return '';
  }

  async #stop(): Promise<void> {
    if (this.#up === undefined) return;
    const ended = once(this.#up, 'exit');
    this.#up.kill('SIGTERM');
    await ended;
    this.#up = undefined;
  }
}
