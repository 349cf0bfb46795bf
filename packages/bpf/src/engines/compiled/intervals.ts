/** The end of the range of protocol << 16 | port. */
const END = 1 << 24;

/** A prefix of protocol << 16 | port. */
export interface Prefix {
  start: number;
  /** 0..24. */
  bits: number;
  record: number;
}

/** From each boundary up to the next one (or the end) its record holds. The first boundary is 0. */
export interface Intervals {
  boundaries: number[];
  records: number[];
}

/**
 * Longest prefix match turned into disjoint intervals; neighbours that say the same become one.
 * @param none the record where no prefix matches
 */
export function intervals(prefixes: readonly Prefix[], none: number): Intervals {
  const boundaries: number[] = [];
  const records: number[] = [];
  const begin = (at: number, record: number): void => {
    if (boundaries.at(-1) === at) {
      boundaries.pop();
      records.pop();
    }
    if (records.at(-1) === record) return;
    boundaries.push(at);
    records.push(record);
  };
  begin(0, none);
  const open: { end: number; record: number }[] = [{ end: END, record: none }];
  const closeUntil = (at: number): void => {
    while (open.length > 1 && open.at(-1)!.end <= at) {
      const { end } = open.pop()!;
      begin(end, open.at(-1)!.record);
    }
  };
  // What contains comes before what is contained.
  for (const { start, bits, record } of prefixes.toSorted((a, b) => a.start - b.start || a.bits - b.bits)) {
    closeUntil(start);
    open.push({ end: start + 2 ** (24 - bits), record });
    begin(start, record);
  }
  closeUntil(END);
  if (boundaries.at(-1) === END) {
    boundaries.pop();
    records.pop();
  }
  return { boundaries, records };
}
