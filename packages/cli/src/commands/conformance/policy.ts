import { InputError } from '@ciliate/k8s';
import type { Command } from 'commander';
import { isObject } from '../../conformance/fields.ts';
import { valuesOf } from '../../conformance/files.ts';
import { checkCase } from '../../conformance/policy_check.ts';
import { JSON_LINES, setCommand } from '../../conformance/set_command.ts';

export const policySet = (): Command =>
  caseSet('policy', 'verdicts, map entries, L7 filters and identities that follow from policies');

export const incrementalSet = (): Command =>
  caseSet('incremental', 'what changes in policy maps when identities come and go', 'steps');

export const conflictsSet = (): Command =>
  caseSet('conflicts', 'policies that contradict each other: whose policy cannot be computed', 'policyErrors');

/** @param field that each case of the set has, besides those that all have */
function caseSet(name: string, description: string, field?: string): Command {
  return setCommand(name, { description, files: JSON_LINES }, (file, tally) => {
    for (const { value, where } of valuesOf(file)) {
      if (field !== undefined && isObject(value) && value[field] === undefined)
        throw new InputError(`${where}: ${field}: missing; is this a file of the set ${name}?`, { where });
      checkCase(value, where, tally);
    }
  });
}
