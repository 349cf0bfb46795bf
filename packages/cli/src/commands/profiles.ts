import { type Difference, findDifferences, type PolicyQuestion, pairsWithout, type Rule } from '@ciliate/bpf';
import { protocolName } from '@ciliate/policy';
import { Command } from 'commander';
import { natural, positive, toJson } from '../options.ts';
import { portText } from '../render.ts';
import { table } from '../table.ts';

interface DiffOptions {
  seed: number;
  trials: number;
  json?: true;
}

const TRIALS = 20_000;

/** The releases whose policy maps differ. */
export function profilesCommand(): Command {
  return new Command('profiles').description('the releases of Cilium whose policy maps decide differently').addCommand(
    new Command('diff')
      .description('find, for each release and the next, the smallest policy and packet they answer differently')
      .option('--seed <number>', 'decides what is tried', natural, 1)
      .option('--trials <number>', 'random cases for each pair of releases', positive, TRIALS)
      .option('--json', 'print one JSON document instead of text')
      .action(({ seed, trials, json }: DiffOptions) => {
        const differences = findDifferences({ seed, trials });
        const without = pairsWithout(differences);
        process.stdout.write(
          json ? `${toJson({ seed, trials, differences, same: without })}\n` : render(differences, without, seed),
        );
      }),
  );
}

function render(differences: readonly Difference[], without: readonly [string, string][], seed: number): string {
  const rows = differences.map(({ older, newer, kind, found, trials, needs, rules, packet, answers }) => [
    `${older} -> ${newer}`,
    `${kind}, ${percent(found / trials)}`,
    rules.map(ruleText).join('; ') || 'none',
    packetText(packet),
    answerText(answers.older),
    answerText(answers.newer),
    needs.join(', ') || '-',
  ]);
  const same = without.map(([older, newer]) => `${older} -> ${newer}: no difference found\n`);
  return [
    table(['RELEASES', 'DIFFER IN', 'ENTRIES', 'PACKET', 'OLDER SAYS', 'NEWER SAYS', 'OLDER LACKS'], rows),
    ...same,
    `Ingress; ${differences[0]?.trials ?? 0} random small policies for each pair, seed ${seed}; equal entries in both maps.\n`,
  ].join('');
}

const percent = (share: number): string => `${(100 * share).toPrecision(2)} %`;

function ruleText({ deny, identity, protocol, dport, portPrefixLen, ...rule }: Rule): string {
  const what = protocol === 0 ? 'any' : `${portText({ dport, portPrefixLen })}/${protocolName(protocol)}`;
  const parts = [deny ? 'deny' : 'allow', 'from', identity === 0 ? 'any' : `${identity}`, what];
  if (rule.proxyPort !== 0) parts.push(`to proxy ${rule.proxyPort}`, `priority ${rule.priority}`);
  if (rule.authType !== 0) parts.push(`authentication ${rule.authType}`);
  else if (rule.hasExplicitAuth) parts.push('no authentication');
  if (rule.level > 0) parts.push(`level ${rule.level}`);
  return parts.join(' ');
}

function packetText({ identity, protocol, dport, isFragment }: PolicyQuestion): string {
  return `from ${identity} ${isFragment ? `fragment/${protocolName(protocol)}` : `${dport}/${protocolName(protocol)}`}`;
}

const VERDICTS: Readonly<Record<number, string>> = {
  133: 'no match',
  157: 'no match (fragment)',
  181: 'deny',
  189: 'authentication',
};

function answerText({ ret, proxyPort, authType, hits }: Difference['answers']['older']): string {
  const allowed = proxyPort === 0 ? 'allow' : `to proxy ${proxyPort}`;
  const verdict = ret >= 0 ? allowed : VERDICTS[-ret];
  const auth = authType === 0 ? '' : ` ${authType}`;
  return `${verdict}${auth}, ${hits.length} ${hits.length === 1 ? 'lookup' : 'lookups'}`;
}
