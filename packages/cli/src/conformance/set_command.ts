import { Command } from 'commander';
import { SHOWN, Tally } from './tally.ts';

/**
 * A set of answers of the real implementation as a command: `name FILE...` compares each file and prints what disagrees,
 * the counts and, last, `agree A/B`; the exit code is 0 only if A = B.
 */
export function setCommand(
  name: string,
  { description, files }: { description: string; files: string },
  checkFile: (file: string, tally: Tally) => void,
): Command {
  return new Command(name)
    .description(description)
    .argument('<file...>', files)
    .option('--all', `print each disagreement, not only the first ${SHOWN}`)
    .action((paths: string[], { all = false }: { all?: boolean }) => {
      const tally = new Tally((text) => process.stdout.write(text), all);
      for (const file of paths) {
        tally.file(file);
        checkFile(file, tally);
      }
      if (!tally.finish()) process.exitCode = 1;
    });
}

export const JSON_LINES = 'JSON lines, plain or gzipped';
export const JSON_DOCUMENT = 'a JSON document, plain or gzipped';
