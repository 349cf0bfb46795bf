import { AgentError } from '@ciliate/agent';
import { type Amount, type PacketsResult, topFlows } from './result.ts';

/** A result, and the file it was read from. */
export interface NamedResult {
  file: string;
  result: PacketsResult;
}

/**
 * Joins the results of all shares of a trace's connections into the result of one run, without timings.
 * @throws AgentError BAD_INPUT naming the file: a share that is missing, twice there, or of another run
 */
export function mergeResults(named: readonly NamedResult[]): PacketsResult {
  const first = named[0];
  if (first === undefined) throw new AgentError('BAD_INPUT', 'no result to merge');
  const seen = new Map<number, string>();
  for (const one of named) check(first, one, seen);
  const { of } = first.result.share!;
  for (let index = 0; index < of; index++)
    if (!seen.has(index)) throw new AgentError('BAD_INPUT', `share ${index}/${of} is missing`, { index, of });
  const results = named.map(({ result }) => result);
  const { timings: _timings, ...merged } = results.slice(1).reduce(add, results[0]!);
  return { ...merged, share: null };
}

function check(first: NamedResult, { file, result }: NamedResult, seen: Map<number, string>): void {
  const fail = (problem: string): never => {
    throw new AgentError('BAD_INPUT', `${file}: ${problem}`, { file });
  };
  const { share, complete } = result;
  if (share === null)
    throw new AgentError('BAD_INPUT', `${file}: the result of all connections: there is nothing to merge it with`, {
      file,
    });
  if (!complete) fail('the run was ended before its trace was');
  const other = seen.get(share.index);
  if (other !== undefined) fail(`share ${share.index}/${share.of}, which ${other} has too`);
  const same = (what: string, of: (one: PacketsResult) => unknown): void => {
    if (JSON.stringify(of(result)) !== JSON.stringify(of(first.result)))
      fail(`not of the same run as ${first.file}: another ${what}`);
  };
  same('trace', (one) => one.trace);
  same('seed', (one) => one.seed);
  same('number of shares', (one) => one.share?.of);
  same('number of passes', (one) => one.loop);
  seen.set(share.index, file);
}

const sum = (a: Amount, b: Amount): Amount => ({ packets: a.packets + b.packets, bytes: a.bytes + b.bytes });

const sums = <N extends string>(a: Record<N, Amount>, b: Record<N, Amount>): Record<N, Amount> =>
  Object.fromEntries(Object.keys(a).map((name) => [name, sum(a[name as N], b[name as N])])) as Record<N, Amount>;

function add(a: PacketsResult, b: PacketsResult): PacketsResult {
  const drops = new Map(a.drops.map((drop) => [drop.code, drop]));
  for (const drop of b.drops) {
    const known = drops.get(drop.code);
    drops.set(drop.code, known === undefined ? drop : { ...known, ...sum(known, drop) });
  }
  return {
    ...a,
    judged: sum(a.judged, b.judged),
    received: a.received + b.received,
    hooks: sums(a.hooks, b.hooks),
    fates: sums(a.fates, b.fates),
    drops: [...drops.values()].sort((x, y) => y.packets - x.packets || x.code - y.code),
    flows: {
      connections: a.flows.connections + b.flows.connections,
      forgotten: a.flows.forgotten + b.flows.forgotten,
      top: topFlows([...a.flows.top, ...b.flows.top]),
    },
    events: { read: a.events.read + b.events.read, lost: a.events.lost + b.events.lost },
    checksum: (a.checksum + b.checksum) >>> 0,
  };
}
