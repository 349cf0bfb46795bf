/** The files of a data directory. The number is a sequence of the log: a segment's first, or where a snapshot ends. */
const NAME = /^(log|snapshot)-([0-9a-f]{16})$/;

const hex = (sequence: number): string => sequence.toString(16).padStart(16, '0');

/** Holds the frames from this sequence on. */
export const segmentName = (sequence: number): string => `log-${hex(sequence)}`;

/** Holds all that the frames before this sequence tell. */
export const snapshotName = (sequence: number): string => `snapshot-${hex(sequence)}`;

/** A snapshot that is being written, or was when the process ended. */
export const UNFINISHED = 'snapshot.tmp';

/** The sequences of the files of one kind, ascending. */
export function sequencesOf(kind: 'log' | 'snapshot', names: readonly string[]): number[] {
  const sequences: number[] = [];
  for (const name of names) {
    const match = NAME.exec(name);
    if (match?.[1] === kind) sequences.push(Number.parseInt(match[2]!, 16));
  }
  return sequences.sort((a, b) => a - b);
}
