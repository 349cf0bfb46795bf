import { expect } from 'vitest';
import type { Law } from './law.ts';

const DROPS: Readonly<Record<number, string>> = {
  133: 'Policy denied DROPPED',
  181: 'Policy denied by denylist DROPPED',
  189: 'Authentication required DROPPED',
};

/** What Hubble must have told of one request, and nothing else: each decision with its reason. @param log its lines */
export function checkLog(log: readonly string[], law: Law, audit: boolean): void {
  const drops = log.filter((line) => line.includes(' DROPPED (TCP Flags: SYN)'));
  if (law.code === 0 || audit) expect(drops).toEqual([]);
  else {
    expect(drops).not.toEqual([]);
    for (const line of drops) expect(line).toContain(DROPS[law.code]);
  }
  if (law.code !== 0 && audit && !law.redirected) expect(log.join('\n')).toContain('AUDITED');
  const count = (text: string): number => log.filter((line) => line.includes(text)).length;
  expect({
    denied: count('http-request DROPPED'),
    answered403: count('http-response FORWARDED (HTTP/1.1 403'),
    reset: count('l7-request DROPPED'),
    passed: count('http-request FORWARDED'),
  }).toEqual({
    denied: law.sees === '403' ? 1 : 0,
    answered403: law.sees === '403' ? 1 : 0,
    reset: law.sees === 'reset' ? 1 : 0,
    passed: law.sees === 'answer' && law.redirected ? 1 : 0,
  });
}

/** How often each outcome was seen, for people. */
export class Counts {
  readonly #counts = new Map<string, number>();

  add(law: Pick<Law, 'code'> & { sees: string }, audit: boolean): void {
    const name = `${law.code}${audit ? ' audited' : ''}, ${law.sees}`;
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  get names(): string[] {
    return [...this.#counts.keys()].sort();
  }

  toString(): string {
    return [...this.#counts]
      .sort()
      .map(([name, count]) => `${count} x ${name}`)
      .join('\n');
  }
}
