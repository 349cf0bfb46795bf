import type { Call, History, LeaseStory, Told, WatchStory } from './history.ts';
import { notLinearizable } from './linearizable.ts';
import { REGISTER } from './register.ts';

/** What a history shows that a store must not do; each as a sentence. */
export function violations(history: History): string[] {
  const events = history.watches[0]!.batches.flat();
  return [
    ...history.surprises.map((error) => `a client was told: ${error}`),
    ...keysOutOfOrder(history.calls),
    ...revisionsThatShrink(history.calls),
    ...history.watches.flatMap((watch, i) => watchFaults(watch, `watch ${i}`, history.last.revision)),
    ...disagreements(history.watches),
    ...lostOrInvented(history.calls, events),
    ...staleReads(history.calls, events),
    ...wrongEnd(history, events),
    ...history.leases.flatMap((lease) => leaseFaults(lease, history.last.pairs)),
  ];
}

function keysOutOfOrder(calls: readonly Call[]): string[] {
  const found: string[] = [];
  for (const [key, ofKey] of Map.groupBy(calls, (call) => call.key)) {
    const verdict = notLinearizable(REGISTER, ofKey);
    if (verdict === undefined) continue;
    const tail = verdict.done.slice(-5).map(shown);
    found.push(`${key} is not linearizable: after ${tail.join(', ')} there is no place for ${shown(verdict.stuck)}`);
  }
  return found;
}

const shown = ({ called, returned, input, output }: Omit<Call, 'key'>): string =>
  `[${called}-${returned} ${JSON.stringify(input)} ${JSON.stringify(output)}]`;

/** What is asked after an answer is answered at its revision or a later one; a write makes a new one. */
function revisionsThatShrink(calls: readonly Call[]): string[] {
  const answered = calls.filter((call) => call.revision !== undefined);
  const byReturn = answered.toSorted((a, b) => a.returned - b.returned);
  const found: string[] = [];
  let newest = 0;
  let next = 0;
  for (const call of answered.toSorted((a, b) => a.called - b.called)) {
    for (; byReturn[next]!.returned < call.called; next++) newest = Math.max(newest, byReturn[next]!.revision!);
    const least = newest + (written(call) === undefined ? 0 : 1);
    if (call.revision! < least) found.push(`${call.key}: revision ${call.revision} after ${newest}: ${shown(call)}`);
  }
  return found;
}

/** What an acknowledged call wrote; undefined: nothing. */
function written({ input, output }: Call): { type: 'put' | 'delete'; value: string } | undefined {
  if (output?.type === 'put' && input.type === 'put') return { type: 'put', value: input.value };
  if (output?.type === 'swap' && input.type === 'swap' && output.succeeded) return { type: 'put', value: input.value };
  return output?.type === 'delete' && output.deleted ? { type: 'delete', value: '' } : undefined;
}

/** In order, each once, whole revisions, and none left out. */
function watchFaults({ fromRevision, batches }: WatchStory, name: string, newest: number): string[] {
  const found: string[] = [];
  let told = fromRevision - 1;
  for (const batch of batches) {
    const keys = new Set<string>();
    let revision = told;
    for (const event of batch) {
      if (event.revision <= told) found.push(`${name}: revision ${event.revision} again, after ${told}`);
      if (event.revision < revision) found.push(`${name}: revision ${event.revision} after ${revision}`);
      if (event.revision > revision + 1) found.push(`${name}: ${event.revision} follows ${revision}: a gap`);
      const name2 = `${event.revision} ${event.key}`;
      if (keys.has(name2)) found.push(`${name}: ${name2} twice`);
      keys.add(name2);
      revision = Math.max(revision, event.revision);
    }
    told = revision;
  }
  if (told !== newest) found.push(`${name}: it was told up to ${told}, the store is at ${newest}`);
  return found;
}

function disagreements([first, ...others]: readonly WatchStory[]): string[] {
  const text = ({ batches }: WatchStory, from: number) =>
    JSON.stringify(batches.flat().filter(({ revision }) => revision >= from));
  return others.flatMap((other, i) =>
    text(first!, other.fromRevision) === text(other, other.fromRevision) ? [] : [`watches 0 and ${i + 1} disagree`],
  );
}

function lostOrInvented(calls: readonly Call[], events: readonly Told[]): string[] {
  const found: string[] = [];
  const at = new Map(events.map((event) => [`${event.revision} ${event.key}`, event]));
  for (const call of calls) {
    const write = written(call);
    if (write === undefined) continue;
    const event = at.get(`${call.revision} ${call.key}`);
    if (event?.type !== write.type || event.value !== write.value)
      found.push(`acknowledged and lost: ${call.key} at ${call.revision}: ${shown(call)}`);
  }
  // Every value is written by one call.
  const issued = new Set(calls.map(({ key, input }) => ('value' in input ? `${key} ${input.value}` : '')));
  const told = new Set<string>();
  for (const { type, key, value, revision } of events) {
    if (type === 'delete' || key.startsWith(LEASED)) continue;
    const name = `${key} ${value}`;
    if (!issued.has(name)) found.push(`nobody wrote ${name}, told at ${revision}`);
    if (told.has(name)) found.push(`${name} was written twice, the second time at ${revision}`);
    told.add(name);
  }
  return found;
}

/** Keys that only leases' stories tell of. */
export const LEASED = 'lease/';

/** A read at a revision sees what the watch told up to there, no more and no less. */
function staleReads(calls: readonly Call[], events: readonly Told[]): string[] {
  const found: string[] = [];
  const ofKey = Map.groupBy(events, ({ key }) => key);
  for (const call of calls) {
    if (call.output?.type !== 'get') continue;
    const newest = ofKey.get(call.key)?.findLast(({ revision }) => revision <= call.revision!);
    const expected = newest?.type === 'put' ? newest : undefined;
    const isSame =
      call.output.value === (expected?.value ?? null) &&
      (expected === undefined || call.modRevision === expected.revision);
    if (!isSame)
      found.push(`a read at ${call.revision} of ${call.key} saw ${shown(call)}, not ${JSON.stringify(expected)}`);
  }
  return found;
}

function wrongEnd({ last }: History, events: readonly Told[]): string[] {
  const pairs = new Map<string, string>();
  for (const { type, key, value } of events) {
    if (type === 'put') pairs.set(key, value);
    else pairs.delete(key);
  }
  const text = (map: Map<string, string>) => JSON.stringify([...map].sort());
  return text(pairs) === text(last.pairs) ? [] : [`at the end there is ${text(last.pairs)}, told was ${text(pairs)}`];
}

function leaseFaults({ key, ttlMs, renewedAt, endedAt, isRevoked }: LeaseStory, pairs: Map<string, string>): string[] {
  if (endedAt === undefined) return pairs.has(key) ? [`${key} is there after its lease had to end`] : [];
  const stood = endedAt - renewedAt;
  return isRevoked || stood >= ttlMs
    ? []
    : [`${key} ended ${stood} ms after its renewal, its lease is for ${ttlMs} ms`];
}
