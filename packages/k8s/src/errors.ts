import type { Position } from './types.ts';

/** What the user gave cannot be used. `code` is for programs, `context` for logs, the message for the user. */
export class InputError extends Error {
  override readonly name: string = 'InputError';
  readonly code = 'BAD_INPUT';
  readonly context: Readonly<Record<string, string | number>>;

  constructor(message: string, context: Readonly<Record<string, string | number>>, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.context = context;
  }
}

export interface Problem {
  position: Position;
  /** The path of the value at fault, as in `spec.ingress[0].toPorts`; '' for a whole document. */
  field: string;
  /** One line, the suggestion included. */
  message: string;
  /** The word that was probably meant. */
  suggestion: string | undefined;
}

/** Most problems that one error carries. */
export const MAX_PROBLEMS = 20;

/** Objects that cannot be decoded. The message has one line per problem: `file:line:column: field: message`. */
export class DecodeError extends InputError {
  override readonly name = 'DecodeError';
  /** In the order of the text; at most MAX_PROBLEMS. */
  readonly problems: readonly Problem[];

  /** @param problems at least one; what is beyond MAX_PROBLEMS is only counted */
  constructor(problems: readonly Problem[]) {
    const kept = problems.slice(0, MAX_PROBLEMS);
    const lines = kept.map(problemLine);
    const more = problems.length - kept.length;
    if (more > 0) lines.push(`and ${more} more`);
    super(lines.join('\n'), { problems: problems.length, ...problems[0]?.position });
    this.problems = kept;
  }
}

const problemLine = ({ position: { file, line, column }, field, message }: Problem): string =>
  `${file}:${line}:${column}: ${field === '' ? '' : `${field}: `}${message}`;
