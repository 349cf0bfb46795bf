import { NO_LEASE } from '../client.ts';
import { KvstoreError } from '../errors.ts';
import type { Bytes } from '../keys.ts';
import type { StoreState } from '../mvcc/state.ts';
import type { Version } from '../mvcc/version.ts';
import type { Rotation } from './command_log.ts';
import type { Disk, DiskFile } from './disk.ts';
import { encodeFrame, encodeHeader, readFrames } from './frames.ts';
import { segmentName, sequencesOf, snapshotName, UNFINISHED } from './names.ts';
import { RecordWriter, readRecords } from './records.ts';

/** How many keys or events are written before others get their turn. */
const CHUNK = 2000;

/**
 * Write all that stands at a revision, while later writes go on; the history must not be compacted meanwhile. Then remove
 * the files that it replaces.
 *
 * @param place where the log begins that the snapshot does not hold
 */
export async function writeSnapshot(
  disk: Disk,
  state: StoreState,
  { sequence, revision }: Rotation,
  salt: number,
): Promise<void> {
  const file = disk.create(UNFINISHED);
  try {
    await writeAll(file, state, revision, salt);
    await file.sync();
  } catch (error) {
    file.close();
    disk.remove(UNFINISHED);
    throw error;
  }
  file.close();
  disk.rename(UNFINISHED, snapshotName(sequence));
  await disk.syncNames();
  removeBefore(disk, sequence);
}

export function removeBefore(disk: Disk, sequence: number): void {
  const names = disk.list();
  for (const older of sequencesOf('snapshot', names)) if (older < sequence) disk.remove(snapshotName(older));
  for (const older of sequencesOf('log', names)) if (older < sequence) disk.remove(segmentName(older));
}

async function writeAll(file: DiskFile, state: StoreState, revision: number, salt: number): Promise<void> {
  const writer = new RecordWriter();
  const header = encodeHeader('cilisnp1', salt);
  file.write(header, 0);
  let at = header.length;
  let frames = 0;
  const flush = async (): Promise<void> => {
    const frame = encodeFrame(salt, frames++, writer.take());
    file.write(frame, at);
    at += frame.length;
    await new Promise((resolve) => setImmediate(resolve));
  };
  const { history, leases } = state;
  const { compactRevision } = history;
  writer.write({ type: 'begin', revision, compactRevision, nextLeaseId: leases.nextId });
  for (const { id, ttlSeconds } of leases.all()) writer.write({ type: 'grant', leaseId: id, ttlSeconds });
  await flush();
  let versions = 0;
  const write = (version: Version): void => {
    writer.write({ type: 'version', ...version });
    versions++;
  };
  for (let key: Bytes | undefined = ''; key !== undefined; ) {
    const base = history.baseFrom(key, CHUNK);
    for (const version of base.versions) write(version);
    await flush();
    key = base.next;
  }
  for (let from = compactRevision; from <= revision; ) {
    const { events, next } = history.eventsFrom(from, revision, CHUNK);
    for (const version of events) write(version);
    await flush();
    from = next;
  }
  writer.write({ type: 'end', versions });
  await flush();
}

/** @throws CORRUPT */
export function readSnapshot(disk: Disk, sequence: number, state: StoreState): void {
  const name = snapshotName(sequence);
  const file = `${disk.name}/${name}`;
  let versions = 0;
  let ended: number | undefined;
  for (const { payload } of readFrames(file, disk.read(name), 'cilisnp1', 0, false).frames) {
    for (const record of readRecords(payload)) {
      if (record.type === 'version') versions++;
      if (record.type === 'end') ended = record.versions;
      else state.restore(record);
    }
  }
  if (ended !== versions) {
    const problem = `${file} is damaged: its end is missing; restore the directory from a copy`;
    throw new KvstoreError('CORRUPT', problem, { file, versions });
  }
  for (const version of state.history.read({ key: '', end: '\0' }, state.history.revision))
    state.leases.move(version.key, NO_LEASE, version.leaseId);
}
