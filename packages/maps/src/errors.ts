/** Answers of bpf(2) as the data plane returns them: 0, or one of these made negative. Source: errno(3), Linux. */
export const ENOENT = 2;
export const E2BIG = 7;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EBUSY = 16;
export const EEXIST = 17;
export const EINVAL = 22;
export const ENOSPC = 28;
/** The kernel's own, which errno(3) does not list. */
export const ENOTSUPP = 524;

export type MapErrno = 'E2BIG' | 'EBUSY' | 'EEXIST' | 'EINVAL' | 'ENOENT' | 'ENOMEM' | 'ENOSPC';

const NAMES: Readonly<Record<number, MapErrno>> = {
  [ENOENT]: 'ENOENT',
  [E2BIG]: 'E2BIG',
  [ENOMEM]: 'ENOMEM',
  [EBUSY]: 'EBUSY',
  [EEXIST]: 'EEXIST',
  [EINVAL]: 'EINVAL',
  [ENOSPC]: 'ENOSPC',
};

export type MapErrorContext = Readonly<Record<string, string | number | bigint>>;

/** A refused control-plane call. `code` is what bpf(2) would answer; `context` is what a log line needs. */
export class MapError extends Error {
  override readonly name = 'MapError';
  readonly code: MapErrno;
  readonly context: MapErrorContext;

  constructor(code: MapErrno, message: string, context: MapErrorContext = {}, cause?: unknown) {
    const where = Object.entries(context)
      .map(([k, v]) => `${k}=${v}`)
      .join(' ');
    super(
      where === '' ? `${message}: ${code}` : `${message} (${where}): ${code}`,
      cause === undefined ? undefined : { cause },
    );
    this.code = code;
    this.context = context;
  }
}

/** Turns the code of a map call into an exception. @throws MapError if `result` is negative */
export function check(result: number, message: string, context: MapErrorContext): void {
  if (result >= 0) return;
  const code = NAMES[-result];
  if (code === undefined) throw new Error(`a map answered ${result}, which is no errno it may answer`);
  throw new MapError(code, message, context);
}
