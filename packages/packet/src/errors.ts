/**
 * A capture file that cannot be read or written as asked. Always the input's fault, never the program's.
 * `message` is complete as it stands: the file's name, the byte offset where there is one, and the cause.
 */
export class CaptureError extends Error {
  override readonly name = 'CaptureError';
  readonly code = 'BAD_INPUT';
  /** `file` always; `offset` in bytes and `packet` (1-based) where they apply. */
  readonly context: Readonly<Record<string, string | number>>;

  constructor(file: string, problem: string, context: Record<string, string | number> = {}, cause?: unknown) {
    super(`${file}: ${problem}`, cause === undefined ? undefined : { cause });
    this.context = { file, ...context };
  }
}
