import { Command, type Option } from 'commander';
import { SHOWN, Tally } from './tally.ts';

/**
 * A set of answers of the real implementation as a command: `name FILE...` compares each file and prints what disagrees,
 * the counts and, last, `agree A/B`; the exit code is 0 only if A = B.
 */
export function setCommand<Options extends object>(
  name: string,
  { description, files, options = [] }: { description: string; files: string; options?: readonly Option[] },
  checkFile: (file: string, tally: Tally, options: Options) => void,
): Command {
  const command = new Command(name)
    .description(description)
    .argument('<file...>', files)
    .option('--all', `print each disagreement, not only the first ${SHOWN}`)
    .action((paths: string[], given: Options & { all?: boolean }) => {
      const tally = new Tally((text) => process.stdout.write(text), given.all ?? false);
      for (const file of paths) {
        tally.file(file);
        checkFile(file, tally, given);
      }
      if (!tally.finish()) process.exitCode = 1;
    });
  for (const option of options) command.addOption(option);
  return command;
}

export const JSON_LINES = 'JSON lines, plain or gzipped';
export const JSON_DOCUMENT = 'a JSON document, plain or gzipped';
