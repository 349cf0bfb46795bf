/** What ends a literal at the front of an expression. */
const META = new Set('.[](){}*+?|^$\\');
const QUANTIFIERS = new Set('*+?{');

/** An expression in two: what every value that it matches as a whole begins with, and an expression for what follows. */
export interface SplitExpression {
  /** Not always all of it; '' if nothing is sure. */
  readonly literal: string;
  readonly rest: string;
}

/** Of an RE2 expression. `\.` and the like are literal, `\d` and the like are not. */
export function splitLiteral(expression: string): SplitExpression {
  if (hasTopLevelAlternatives(expression)) return { literal: '', rest: expression };
  const literal: string[] = [];
  let at = expression.startsWith('^') ? 1 : 0;
  /** Where the last char of the literal is written. */
  let last = at;
  for (let next = at; next < expression.length; at = next) {
    const escaped = expression[at] === '\\' && /^[^0-9A-Za-z]$/.test(expression[at + 1] ?? '');
    if (!escaped && META.has(expression[at]!)) break;
    const char = String.fromCodePoint(expression.codePointAt(escaped ? at + 1 : at)!);
    next = at + (escaped ? 1 : 0) + char.length;
    last = at;
    literal.push(char);
  }
  // A quantifier is about the last one alone, which may be absent.
  if (QUANTIFIERS.has(expression[at] ?? '') && literal.length > 0) {
    literal.pop();
    at = last;
  }
  return literal.length === 0
    ? { literal: '', rest: expression }
    : { literal: literal.join(''), rest: expression.slice(at) };
}

/** Is there a `|` outside of all groups and classes? Where it is hard to tell: yes. */
function hasTopLevelAlternatives(expression: string): boolean {
  if (!expression.includes('|')) return false;
  if (/[[\\]/.test(expression)) return true;
  let depth = 0;
  for (const char of expression) {
    if (char === '(') depth++;
    else if (char === ')') depth--;
    else if (char === '|' && depth === 0) return true;
  }
  return false;
}
