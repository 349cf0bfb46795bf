/**
 * One label: where it comes from, its key and its value, e.g. `k8s:app=web`.
 * Source: pkg/labels/labels.go.
 */
export interface Label {
  /** `k8s`, `reserved`, `cidr`, `fqdn`, ...; `unspec` when the text named none; `any` only in selectors. */
  readonly source: string;
  readonly key: string;
  /** '' when the label has no value. */
  readonly value: string;
}

const RESERVED_PREFIX = 'reserved.';

/**
 * Read `source:key=value`. `$x`, `reserved:x` and `reserved.x` (without a colon) are all the reserved label x; the first
 * `:` ends the source, the first `=` ends the key. Never fails: what has no source gets `unspec`.
 */
export function parseLabel(text: string): Label {
  const [source, rest] = splitSource(text, ':');
  const equals = rest.indexOf('=');
  const from = source === '' ? 'unspec' : source;
  if (equals < 0) return { source: from, key: rest, value: '' };
  if (equals === 0 && source === 'reserved') return { source: from, key: rest.slice(1), value: '' };
  return { source: from, key: rest.slice(0, equals), value: rest.slice(equals + 1) };
}

/** `k8s:app=web`; without `=` when the value is empty. */
export function formatLabel(label: Label): string {
  const name = `${label.source}:${label.key}`;
  return label.value === '' ? name : `${name}=${label.value}`;
}

/** The form in keys and values of the key-value store: `k8s:app=web;`, with `=` and `;` always present. */
export function formatLabelForKvstore(label: Label): string {
  return `${label.source}:${label.key}=${label.value};`;
}

/**
 * The key of a selector as users write it (`app`, `k8s:app`, `any:app`) in the form that selectors keep: `any.app`,
 * `k8s.app`. No source means any source.
 */
export function extendedKey(text: string): string {
  const [source, rest] = splitSource(text, ':');
  const equals = rest.indexOf('=');
  return `${source === '' ? 'any' : source}.${equals < 0 ? rest : rest.slice(0, equals)}`;
}

/** The way back for printing: `k8s.app` → `k8s:app`. */
export function ciliumKey(extended: string): string {
  const dot = extended.indexOf('.');
  return dot < 0 ? `any:${extended}` : `${extended.slice(0, dot)}:${extended.slice(dot + 1)}`;
}

/** Source and key that a selector's extended key asks for; source `any` matches a label of every source. */
export function parseExtendedKey(extended: string): { source: string; key: string } {
  const [source, key] = splitSource(extended, '.');
  // A label without a source cannot be asked for: unspec in a selector behaves as any.
  return { source: source === '' || source === 'unspec' ? 'any' : source, key };
}

/** Order of the UTF-8 bytes of two strings, which is the order of Go's strings and of the key-value store. */
export function compareBytes(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return utf8Rank(x) - utf8Rank(y);
  }
  return a.length - b.length;
}

/** UTF-16 sorts surrogates (code points above 0xffff) below 0xe000..0xffff; UTF-8 sorts them above. */
function utf8Rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}

function splitSource(text: string, delimiter: ':' | '.'): [source: string, rest: string] {
  if (text.startsWith('$')) return ['reserved', text.slice(1)];
  const at = text.indexOf(delimiter);
  if (at >= 0) return [text.slice(0, at), text.slice(at + 1)];
  if (delimiter === ':' && text.startsWith(RESERVED_PREFIX)) return ['reserved', text.slice(RESERVED_PREFIX.length)];
  return ['', text];
}
