import type { RuleOrigin } from './api/rule.ts';

/**
 * Rules that are fine each by itself cannot be had together by one endpoint. Its policy cannot be computed; the one it
 * has stays in force. `code` is always BAD_INPUT: the user's policies are at fault.
 */
export class PolicyConflictError extends Error {
  override readonly name = 'PolicyConflictError';
  readonly code = 'BAD_INPUT';
  /** The rule that did not fit to those before it. */
  readonly origin: RuleOrigin | undefined;

  constructor(problem: string, origin?: RuleOrigin) {
    super(origin === undefined ? problem : `${placeOf(origin)}${problem}`);
    this.origin = origin;
  }

  /** The same with the place of the rule. */
  at(origin: RuleOrigin): PolicyConflictError {
    return new PolicyConflictError(this.message, origin);
  }
}

function placeOf({ kind, namespace, name, list, ruleIndex, position }: RuleOrigin): string {
  const where = position === undefined ? '' : `${position.file}:${position.line}:${position.column}: `;
  const object = namespace === '' ? name : `${namespace}/${name}`;
  return `${where}${kind} ${object}: ${list}[${ruleIndex}]: `;
}
