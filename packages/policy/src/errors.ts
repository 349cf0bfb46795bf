import type { Position } from '@ciliate/k8s';

/**
 * A policy that cannot be taken in. `code` is always BAD_INPUT: the user's object is at fault. The message starts with
 * `file:line:column: field path:`.
 */
export class PolicyError extends Error {
  override readonly name: string = 'PolicyError';
  readonly code = 'BAD_INPUT';
  readonly context: Readonly<{ file: string; line: number; column: number; path: string }>;

  /** @param path the field, as in `spec.ingress[0].toPorts[1].ports[0].port` */
  constructor(position: Position, path: string, problem: string, cause?: unknown) {
    const { file, line, column } = position;
    super(`${file}:${line}:${column}: ${path}: ${problem}`, cause === undefined ? undefined : { cause });
    this.context = { file, line, column, path };
  }
}

/** A policy that Cilium takes in, and that says something which is not modelled here. Everything else in it is in order. */
export class NotModelledError extends PolicyError {
  override readonly name = 'NotModelledError';
}
