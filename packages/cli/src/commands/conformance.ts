import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { type Disagreement, parseVector, type VectorAnswer, VectorRunner } from '@ciliate/bpf';
import { InputError } from '@ciliate/k8s';
import { Memory } from '@ciliate/maps';
import { Command } from 'commander';
import { table } from '../table.ts';

/** Each set of vectors is a command of its own: what the real implementation answered, asked again here. */
export function conformanceCommand(): Command {
  return new Command('conformance')
    .description('compare with what the real implementation answered; exit 0 only if everything agrees')
    .addCommand(profilesSet());
}

const SHOWN = 20;
const MEMORY_BYTES = 16 * 1024 * 1024;

function profilesSet(): Command {
  return new Command('profiles')
    .description(
      "policy verdicts of several releases: the profile's function on the release's bytes, and its reference",
    )
    .argument('<file...>', 'JSON lines, plain or gzipped')
    .option('--all', `print each disagreement, not only the first ${SHOWN}`)
    .action((files: string[], { all = false }: { all?: boolean }) => {
      const runner = new VectorRunner(Memory.create(MEMORY_BYTES));
      const total = { agreed: 0, lookups: 0 };
      const rows: string[][] = [];
      let left = all ? Number.POSITIVE_INFINITY : SHOWN;
      for (const file of files) {
        const ofFile = { profiles: new Set<string>(), cases: 0, agreed: 0, lookups: 0 };
        for (const { text, where } of linesOf(file)) {
          const vector = parseVector(text, where);
          const { agreed, lookups, disagreements } = runner.run(vector, where);
          ofFile.profiles.add(vector.profile);
          ofFile.cases++;
          ofFile.agreed += agreed;
          ofFile.lookups += lookups;
          for (const disagreement of disagreements)
            if (left-- > 0) process.stdout.write(renderDisagreement(disagreement, where));
        }
        rows.push([[...ofFile.profiles].join(', '), `${ofFile.cases}`, `${ofFile.agreed}/${ofFile.lookups}`, file]);
        total.agreed += ofFile.agreed;
        total.lookups += ofFile.lookups;
      }
      if (left < 0) process.stdout.write(`${-left} more disagreements; --all prints them\n`);
      process.stdout.write(table(['PROFILE', 'CASES', 'AGREE', 'FILE'], rows));
      process.stdout.write(`agree ${total.agreed}/${total.lookups}\n`);
      if (total.agreed < total.lookups) process.exitCode = 1;
    });
}

/** @throws InputError for a file that cannot be read, is no gzip, or holds no case */
function* linesOf(file: string): Generator<{ text: string; where: string }> {
  const lines = textOf(file).split('\n');
  if (lines.every((line) => line.trim() === '')) throw new InputError(`${file}: no case in it`, { file });
  for (const [i, text] of lines.entries()) if (text.trim() !== '') yield { text, where: `${file}:${i + 1}` };
}

function textOf(file: string): string {
  try {
    const bytes = readFileSync(file);
    const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
    return (isGzip ? gunzipSync(bytes) : bytes).toString('utf8');
  } catch (cause) {
    throw new InputError(`${file}: ${(cause as Error).message}`, { file }, cause);
  }
}

function renderDisagreement({ name, lookup, release, profile, reference }: Disagreement, where: string): string {
  const side = (who: string, answer: VectorAnswer): string => `  ${who.padEnd(9)}  ${JSON.stringify(answer)}\n`;
  const sides = [side('release', release), side('profile', profile), side('reference', reference)];
  return `${where}: ${name}, lookups[${lookup}]\n${sides.join('')}`;
}
