import { ClusterPolicy, type MatrixCell, type Party, partiesOf, reachMatrix } from '@ciliate/agent';
import { didYouMean, InputError, nearestWord } from '@ciliate/k8s';
import { coverageText } from '@ciliate/policy';
import { Command } from 'commander';
import { type CommonOptions, loadStore, policyConfigOf, toJson, withCommonOptions } from '../options.ts';
import { namesText, partyJson, pathJson, pathText, unknownLines, unknownNames } from '../render_reach.ts';
import { table } from '../table.ts';

interface MatrixOptions extends CommonOptions {
  from?: string[];
  to?: string[];
}

export function matrixCommand(): Command {
  const who = 'only these: names of pods ([NAMESPACE/]NAME), entities, or prefixes that policies name';
  return withCommonOptions(new Command('matrix'))
    .description('who can reach whom on what, by the policies of both ends')
    .option('--from <names...>', who)
    .option('--to <names...>', who)
    .action(async ({ file, seed, json, from, to, ...policy }: MatrixOptions) => {
      const cluster = await ClusterPolicy.of(loadStore(file), seed, policyConfigOf(policy));
      const names = partiesOf([cluster]).flatMap((party) => party.names);
      const cells = reachMatrix(cluster, filterOf('--from', from, names), filterOf('--to', to, names));
      const unknown = unknownNames(cluster);
      const { ignored } = cluster;
      const text = json
        ? `${toJson({ unknownNames: unknown, ignored, cells: jsonOf(cells) })}\n`
        : render(cells, [...unknownLines(unknown), ...ignored]);
      process.stdout.write(text);
    });
}

/** @throws InputError for a name that nobody has */
function filterOf(option: string, wanted: string[] | undefined, names: readonly string[]): (name: string) => boolean {
  if (wanted === undefined) return () => true;
  const found = wanted.map((word) => {
    const name = [word, `default/${word}`, word.replace(/^reserved:/, '')].find((one) => names.includes(one));
    if (name === undefined) {
      const meant = nearestWord(word, names) ?? nearestWord(`default/${word}`, names);
      throw new InputError(`${option} ${word}: no pod, entity or prefix of this name${didYouMean(meant)}`, { word });
    }
    return name;
  });
  return (name) => found.includes(name);
}

const jsonOf = (cells: readonly MatrixCell[]): object =>
  cells.map(({ from, to, flows }) => ({
    from: partyJson(from),
    to: partyJson(to),
    flows: flows.map(({ spans, verdict }) => ({ ports: spans, ...pathJson(verdict) })),
  }));

/** A row for all senders that reach the same receivers on the same ports. */
interface Row {
  from: Party[];
  to: Party[];
  lines: string[];
}

/** @param notes lines below the table */
function render(cells: readonly MatrixCell[], notes: readonly string[]): string {
  const byReceiver = new Map<string, Row>();
  for (const { from, to, flows } of cells) {
    const lines = linesOf(flows);
    const key = JSON.stringify([to.names, lines]);
    const row = byReceiver.get(key);
    if (row === undefined) byReceiver.set(key, { from: [from], to: [to], lines });
    else row.from.push(from);
  }
  const rows = new Map<string, Row>();
  for (const one of byReceiver.values()) {
    const key = JSON.stringify([one.from.map(({ names }) => names), one.lines]);
    const row = rows.get(key);
    if (row === undefined) rows.set(key, one);
    else row.to.push(...one.to);
  }
  const sorted = [...rows.values()].sort((a, b) => (namesText(a.to) < namesText(b.to) ? -1 : 1));
  const text = table(
    ['FROM', 'TO', 'ON'],
    sorted.flatMap(({ from, to, lines }) =>
      lines.map((line, index) => (index === 0 ? [namesText(from), namesText(to), line] : ['', '', line])),
    ),
  );
  return [text, ...notes.map((line) => `${line}\n`)].join('');
}

function linesOf(flows: MatrixCell['flows']): string[] {
  const lines = flows
    .filter(({ verdict }) => verdict.verdict !== 'deny')
    .map(({ spans, verdict }) => {
      const how = pathText(verdict);
      return how === 'allow' ? coverageText(spans) : `${coverageText(spans)} (${how})`;
    });
  return lines.length === 0 ? ['nothing'] : lines;
}
