/**
 * Names and patterns of the DNS world, as `toFQDNs` and DNS rules write them. `*` stands for any number of letters,
 * digits, `-` and `_`, never for a dot; only the pattern `*` alone is more.
 * Source: pkg/fqdn/matchpattern, pkg/fqdn/dns.
 */

const CLASS = '[-a-zA-Z0-9_]';
const EVERY_NAME = /^(?:(?:[-a-zA-Z0-9_]+\.)+|\.)$/;
const MATCHABLE = /^[-a-zA-Z0-9_]*$/;

/** Lower case, with the dot of the root at the end: `www.Cilium.io` is `www.cilium.io.`, '' is `.`. */
export function absoluteName(name: string): string {
  const lower = name.toLowerCase();
  return isAbsolute(lower) ? lower : `${lower}.`;
}

/** A dot at the end that an odd number of backslashes comes before is part of the name. */
function isAbsolute(name: string): boolean {
  const [, escapes] = /(\\*)\.$/.exec(name) ?? [];
  return escapes !== undefined && escapes.length % 2 === 0;
}

/** As {@link absoluteName}, but `*` alone, every name, stays as it is. */
export const absolutePattern = (pattern: string): string => (pattern === '*' ? pattern : absoluteName(pattern));

/**
 * The regular expression that Cilium makes of a pattern, as text (RE2); here for comparison and display, names are
 * matched without it.
 */
export function anchoredExpression(pattern: string): string {
  const text = pattern.trim().toLowerCase();
  return text === '*' ? `(^(${CLASS}+[.])+$)|(^[.]$)` : `^${escaped(text)}$`;
}

/** The same for use within another expression. */
export function unanchoredExpression(pattern: string): string {
  const text = pattern.trim().toLowerCase();
  return text === '*' ? '.*' : escaped(text);
}

const escaped = (pattern: string): string => pattern.replaceAll('.', '[.]').replaceAll('*', `${CLASS}*`);

/** Can an expression be made of it? That is less than a policy asks of a pattern: its characters are not all allowed there. */
export function isPattern(pattern: string): boolean {
  if (/[[\]+{},]/.test(pattern)) return false;
  try {
    new RegExp(anchoredExpression(pattern));
    return true;
  } catch {
    return false;
  }
}

/**
 * A test for names. Names must be absolute already; capital letters match only where `*` stands.
 * Part by part, each in time proportional to its length times that of the pattern: no expression of the user's is run.
 *
 * @param pattern made of letters, digits, `-`, `_`, `.` and `*`; made absolute by whoever calls, if that is meant
 */
export function compilePattern(pattern: string): (name: string) => boolean {
  const text = pattern.trim().toLowerCase();
  if (text === '*') return (name) => EVERY_NAME.test(name);
  const parts = text.split('.').map((part) => part.replace(/\*+/g, '*'));
  return (name) => {
    const labels = name.split('.');
    return labels.length === parts.length && labels.every((label, i) => matchesPart(parts[i]!, label));
  };
}

/** The usual way to match with `*`: on a mismatch the last `*` takes one character more. */
function matchesPart(part: string, label: string): boolean {
  if (!part.includes('*')) return part === label;
  if (!MATCHABLE.test(label)) return false;
  let at = 0;
  let star = -1;
  let retry = 0;
  for (let i = 0; i < label.length; ) {
    if (part[at] === '*') {
      star = at++;
      retry = i;
    } else if (part[at] === label[i]) {
      at++;
      i++;
    } else if (star >= 0) {
      at = star + 1;
      i = ++retry;
    } else return false;
  }
  while (part[at] === '*') at++;
  return at === part.length;
}
