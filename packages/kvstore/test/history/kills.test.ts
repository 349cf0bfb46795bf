import { expect, test } from 'vitest';
import { isInstalled } from '../backends.ts';
import { randomFrom } from '../random.ts';
import { CRASH_POINTS, type CrashPoint } from '../support/crash_disk.ts';
import { runHistory } from './run.ts';
import { etcdVictim, ourVictim, type Victim } from './victim.ts';
import { violations } from './violations.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);
const KILLS = Number(process.env.CILIATE_KILLS ?? 9);

async function check(name: string, victim: Victim, points: readonly (CrashPoint | undefined)[]): Promise<void> {
  const kills = Array.from({ length: KILLS }, (_, i) => points[i % points.length]);
  try {
    const history = await runHistory(victim, kills, randomFrom(seed));
    const answered = history.calls.filter(({ output }) => output !== undefined).length;
    const faults = violations(history);
    console.log(
      `${name}: ${KILLS} kills, ${history.calls.length} operations, ${answered} of them answered, ` +
        `${history.last.revision} revisions, ${history.leases.length} leases, violations ${faults.length}`,
    );
    expect(faults).toEqual([]);
    expect(history.calls.length).toBeGreaterThan(answered); // the kills met calls on their way
  } finally {
    victim.remove();
  }
}

test('the store, killed by signal 9 at random and at every point of a write and of a snapshot', async () => {
  await check('the store', await ourVictim(), [undefined, ...CRASH_POINTS]);
}, 240_000);

test.skipIf(!isInstalled('etcd'))(
  'real etcd, killed by signal 9 at random',
  async () => {
    await check('etcd', await etcdVictim(), [undefined]);
  },
  240_000,
);
