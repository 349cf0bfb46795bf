import { parseVector, VectorRunner } from '@ciliate/bpf';
import { Memory } from '@ciliate/maps';
import type { Command } from 'commander';
import { linesOf } from '../../conformance/files.ts';
import { JSON_LINES, setCommand } from '../../conformance/set_command.ts';

const MEMORY_BYTES = 16 * 1024 * 1024;

export function profilesSet(): Command {
  const description =
    "policy verdicts of several releases: the profile's function on the release's bytes, and its reference";
  const runner = new VectorRunner(Memory.create(MEMORY_BYTES));
  return setCommand('profiles', { description, files: JSON_LINES }, (file, tally) => {
    for (const { text, where } of linesOf(file)) {
      const vector = parseVector(text, where);
      const { agreed, lookups, disagreements } = runner.run(vector, where);
      tally.case();
      tally.count(vector.profile, agreed, lookups);
      for (const { name, lookup, release, profile, reference } of disagreements)
        tally.disagreement(`${where}: ${name}, lookups[${lookup}]`, [
          ['release', release],
          ['profile', profile],
          ['reference', reference],
        ]);
    }
  });
}
