import { setTimeout as sleep } from 'node:timers/promises';
import { IdentityGc, identityRange } from '@ciliate/identity';
import { Command, InvalidArgumentError } from 'commander';
import { type ConnectOptions, withClient, withClusterId, withConnection } from '../kvstore_options.ts';

interface OperatorOptions extends ConnectOptions {
  clusterId: number;
  identityGcInterval: number;
}

/** Cilium's, the time to live of agents' leases. */
const GC_INTERVAL_MS = 15 * 60_000;
const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** What cilium-operator does for the store that agents share. */
export function operatorCommand(): Command {
  const command = new Command('operator').description(
    'frees the numbers of identities that no agent used in two rounds, in the store that agents share; Ctrl-C ends it',
  );
  return withClusterId(withConnection(command))
    .option(
      '--identity-gc-interval <duration>',
      'between rounds, as 15m or 90s (default: 15m)',
      duration,
      GC_INTERVAL_MS,
    )
    .action(operate);
}

async function operate(options: OperatorOptions): Promise<void> {
  const ended = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ended.abort());
  await withClient(options, async (client) => {
    const gc = new IdentityGc(client, identityRange(options.clusterId));
    while (!ended.signal.aborted) {
      const { alive, unused, deleted } = await gc.run();
      const gone = deleted.length === 0 ? 'none' : deleted.join(' ');
      process.stdout.write(`identities: ${alive} alive, of these ${unused} unused for a round; deleted: ${gone}\n`);
      await sleep(options.identityGcInterval, undefined, { signal: ended.signal }).catch(() => {});
    }
  });
}

/** As Go writes durations, in milliseconds. */
function duration(text: string): number {
  const parts = [...text.matchAll(/(\d+)(ms|s|m|h)/g)];
  const total = parts.reduce((sum, [, count, unit]) => sum + Number(count) * UNITS[unit as keyof typeof UNITS], 0);
  if (parts.map(([part]) => part).join('') !== text || total === 0)
    throw new InvalidArgumentError('want a duration, for example 15m or 1m30s.');
  return total;
}
