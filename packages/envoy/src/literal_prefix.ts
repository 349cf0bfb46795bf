/** What ends a literal at the front of an expression. */
const META = new Set('.[](){}*+?|^$\\');
const QUANTIFIERS = new Set('*+?{');

/**
 * What every value that an RE2 expression matches as a whole begins with; '' if nothing is sure. Not always all of it.
 * `\.` and the like are literal, `\d` and the like are not.
 */
export function literalPrefix(expression: string): string {
  if (hasTopLevelAlternatives(expression)) return '';
  const chars = [...expression];
  const literal: string[] = [];
  let at = chars[0] === '^' ? 1 : 0;
  for (; at < chars.length; at++) {
    const escaped = chars[at] === '\\' && /^[^0-9A-Za-z]$/.test(chars[at + 1] ?? '');
    if (escaped) at++;
    else if (META.has(chars[at]!)) break;
    literal.push(chars[at]!);
  }
  // A quantifier is about the last one alone, which may be absent.
  if (QUANTIFIERS.has(chars[at] ?? '')) literal.pop();
  return literal.join('');
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
