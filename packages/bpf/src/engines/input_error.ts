/** A name or a file that the user gave is wrong. The message says which and why. */
export class BpfInputError extends Error {
  override readonly name = 'BpfInputError';
  readonly code = 'BAD_INPUT';
  readonly context: Readonly<Record<string, string | number>>;

  constructor(message: string, context: Readonly<Record<string, string | number>>, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.context = context;
  }
}

/** `engine "lmp-trie" is not known, did you mean "lpm-trie"? There are: ...` */
export function unknownName(what: string, name: string, known: readonly string[]): string {
  const [near] = known
    .map((word) => ({ word, edits: edits(name.toLowerCase(), word.toLowerCase()) }))
    .filter((candidate) => candidate.edits <= Math.max(1, candidate.word.length / 3))
    .sort((a, b) => a.edits - b.edits);
  const hint = near === undefined ? '' : `, did you mean "${near.word}"?`;
  return `${what} ${JSON.stringify(name)} is not known${hint === '' ? '.' : hint} There are: ${known.join(', ')}`;
}

/** Letters too many, too few or wrong between two words (Levenshtein's distance), row by row. */
function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}
