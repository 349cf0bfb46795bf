import { ClusterPolicy, diffReach, type PodChanges, type ReachChange, type ReachDiff } from '@ciliate/agent';
import { InputError } from '@ciliate/k8s';
import { coverageText } from '@ciliate/policy';
import { Command } from 'commander';
import {
  loadStore,
  type PolicyOptions,
  policyConfigOf,
  type RunOptions,
  toJson,
  withPolicyOptions,
  withRunOptions,
} from '../options.ts';
import { namesText, partyJson, pathJson, pathText, unknownLines, unknownNames } from '../render_reach.ts';

interface DiffOptions extends RunOptions, PolicyOptions {
  file?: string[];
  old?: string[];
  new?: string[];
  exitCode?: true;
}

export function diffCommand(): Command {
  const collect = (path: string, before: string[] = []): string[] => [...before, path];
  return withRunOptions(withPolicyOptions(new Command('diff')))
    .description('which flows change verdict from one cluster to another: all pairs, ports and protocols')
    .option('-f, --file <path>', 'twice: first the old cluster, then the new; each a YAML file or a folder', collect)
    .option('--old <paths...>', 'the old cluster, of several files or folders')
    .option('--new <paths...>', 'the new cluster, of several files or folders')
    .option('--exit-code', 'exit with 1 if something changes')
    .action(async (options: DiffOptions) => {
      const [before, after] = await Promise.all(
        sidesOf(options).map((paths) => ClusterPolicy.of(loadStore(paths), options.seed, policyConfigOf(options))),
      );
      const diff = diffReach(before!, after!);
      const unknown = [...new Set([before!, after!].flatMap(unknownNames))];
      const ignored = [...new Set([before!, after!].flatMap((cluster) => cluster.ignored))];
      const text = options.json
        ? `${toJson(jsonOf(diff, unknown, ignored))}\n`
        : render(diff, [...unknownLines(unknown), ...ignored]);
      process.stdout.write(text);
      if (options.exitCode && !isEmpty(diff)) process.exitCode = 1;
    });
}

/** @throws InputError */
function sidesOf({ file, old, new: now }: DiffOptions): [old: string[], now: string[]] {
  if (file !== undefined && (old !== undefined || now !== undefined))
    throw new InputError('diff: want either -f OLD -f NEW or --old PATH... --new PATH..., not both', {});
  if (old !== undefined && now !== undefined) return [old, now];
  if (file?.length === 2) return [[file[0]!], [file[1]!]];
  const found = file === undefined ? 'one side is missing' : `-f is there ${file.length} times`;
  throw new InputError(`diff: ${found}, want -f OLD -f NEW, or --old PATH... --new PATH...`, {});
}

const isEmpty = ({ pods: { added, removed, relabelled }, changes }: ReachDiff): boolean =>
  added.length + removed.length + relabelled.length + changes.length === 0;

const jsonOf = ({ pods, changes }: ReachDiff, unknownNames: readonly string[], ignored: readonly string[]): object => ({
  unknownNames,
  ignored,
  pods,
  changes: changes.map(({ from, to, spans, before, after, reasons }) => ({
    from: from.map(partyJson),
    to: to.map(partyJson),
    ports: spans,
    before: pathJson(before),
    after: pathJson(after),
    reasons,
  })),
});

/** @param notes lines at the end */
function render({ pods, changes }: ReachDiff, notes: readonly string[]): string {
  const what = changes.length === 0 ? ['No flow changes its verdict.'] : changes.flatMap(changeLines);
  return [...podLines(pods), ...what, ...notes, ''].join('\n');
}

function changeLines({ from, to, spans, before, after, reasons }: ReachChange): string[] {
  return [
    `${namesText(from)} -> ${namesText(to)}: ${coverageText(spans)}`,
    `  ${pathText(before)} -> ${pathText(after)}`,
    ...reasons.flatMap((reason) => [
      `  ${reason.direction} before: ${reason.before}`,
      `  ${reason.direction} after:  ${reason.after}`,
    ]),
  ];
}

function podLines({ added, removed, relabelled }: PodChanges): string[] {
  return [
    ...added.map((name) => `${name} is new: there is nothing to compare it with`),
    ...removed.map((name) => `${name} is gone: there is nothing to compare it with`),
    ...relabelled.map(({ name, before, after }) => {
      const gone = before.filter((label) => !after.includes(label)).map((label) => `-${label}`);
      const came = after.filter((label) => !before.includes(label)).map((label) => `+${label}`);
      return `${name} has other labels: ${[...gone, ...came].join(' ')}`;
    }),
  ];
}
