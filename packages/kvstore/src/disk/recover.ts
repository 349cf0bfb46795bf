import { KvstoreError } from '../errors.ts';
import type { StoreState } from '../mvcc/state.ts';
import { createSegment, type LogOptions, type LogPlace } from './command_log.ts';
import { readFrames } from './frames.ts';
import { segmentName, sequencesOf, snapshotName, UNFINISHED } from './names.ts';
import { readRecords } from './records.ts';
import { readSnapshot, removeBefore } from './snapshot.ts';

/**
 * Fill a new state from a data directory: the newest snapshot, then the log. The torn tail of the last write, of which
 * nobody was told, is cut off.
 *
 * @returns where the log goes on
 * @throws CORRUPT: what was once acknowledged cannot be read
 */
export async function recover(options: LogOptions, state: StoreState): Promise<LogPlace> {
  const { disk } = options;
  const names = disk.list();
  if (names.includes(UNFINISHED)) disk.remove(UNFINISHED);
  const snapshot = sequencesOf('snapshot', names).at(-1);
  if (snapshot !== undefined) readSnapshot(disk, snapshot, state);
  let sequence = snapshot ?? 1;
  const segments = sequencesOf('log', names).filter((first) => first >= sequence);
  if (segments.length === 0 && snapshot === undefined && sequencesOf('log', names).length === 0)
    return createSegment(options, sequence);
  if (segments[0] !== sequence) throw missing(disk.name, segmentName(sequence));
  let place: LogPlace | undefined;
  for (const [index, first] of segments.entries()) {
    if (first !== sequence) throw missing(disk.name, segmentName(sequence));
    const isLast = index === segments.length - 1;
    const name = segmentName(first);
    const bytes = disk.read(name);
    const { salt, frames, end, isTorn } = readFrames(`${disk.name}/${name}`, bytes, 'ciliwal1', first, isLast);
    for (const { payload } of frames) for (const record of readRecords(payload)) replay(state, record, name);
    sequence += frames.length;
    if (!isLast) continue;
    if (end === 0) return createSegment(options, first); // not even the header was there
    const file = disk.open(name);
    if (isTorn) {
      file.truncate(end);
      await file.sync();
    }
    place = { file, salt, at: end, size: isTorn ? end : bytes.length, sequence };
  }
  if (snapshot !== undefined) removeBefore(disk, snapshot);
  state.leases.renewAll();
  return place!;
}

function replay(state: StoreState, record: Parameters<StoreState['restore']>[0] | { type: 'end' }, name: string): void {
  if (record.type === 'end') throw new KvstoreError('CORRUPT', 'a record that only snapshots have', { file: name });
  state.restore(record);
}

const missing = (directory: string, file: string): KvstoreError => {
  const newest = file.startsWith('log') ? 'part of the log' : snapshotName(0);
  return new KvstoreError('CORRUPT', `${directory}/${file} is missing: ${newest} was lost; restore it from a copy`, {
    file,
  });
};
