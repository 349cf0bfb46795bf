import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { isInstalled, ROOT } from './live.ts';
import { sessionOf, steady, Terminal } from './live_session.ts';

/** The sessions of the labs, typed again: the documents show what real programs print. */
const PAGES = [
  ['docs/deathstar.md', 20],
  ['docs/three-tier.md', 18],
  ['docs/tls.md', 11],
] as const;
const missing = ['curl', 'nc', 'timeout'].filter((program) => !isInstalled(program));

describe.skipIf(missing.length > 0).each(PAGES)(
  `%s${missing.map((one) => `, without ${one}`).join('')}`,
  (file, count) => {
    const terminal = new Terminal();
    afterAll(() => terminal.close());
    const shown = sessionOf(readFileSync(`${ROOT}${file}`, 'utf8'));

    test('shows its whole session', () => {
      expect(shown).toHaveLength(count);
    });

    test.each(shown)('$command', async ({ command, output }) => {
      expect(steady(await terminal.run(command))).toBe(steady(output));
    });
  },
);
