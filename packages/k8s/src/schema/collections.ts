import { isMap, isScalar, isSeq, type Node } from 'yaml';
import { isNull, keyText, MERGE_KEY } from '../yaml.ts';
import { INVALID, type Schema } from './schema.ts';
import { string } from './values.ts';

export function list<T>(item: Schema<T>): Schema<T[]> {
  return {
    ...(item.fields && { fields: item.fields }),
    isList: true,
    decode(node, place) {
      if (!isSeq<Node>(node)) return place.mismatch(node, 'a list');
      const items: T[] = [];
      for (const [index, child] of node.items.entries()) {
        const value = place.index(index).decode(item, child);
        if (value !== INVALID) items.push(value);
      }
      return items.length === node.items.length ? items : INVALID;
    },
  };
}

/**
 * A mapping from free keys to strings.
 * @param check says what is wrong with an entry, undefined if nothing
 */
export function stringMap(
  check: (key: string, value: string) => string | undefined = () => undefined,
): Schema<Record<string, string>> {
  return {
    decode(node, place) {
      if (!isMap<Node, Node | null>(node)) return place.mismatch(node, 'a mapping');
      const entries: [string, string][] = [];
      for (const { key, value } of node.items) {
        const name = keyText(key);
        const at = place.key(name);
        if (name === MERGE_KEY) continue;
        if (place.source.isLenient && isNull(value)) {
          entries.push([name, '']);
          continue;
        }
        if (value === null) {
          at.report(key, 'want a string, found nothing');
          continue;
        }
        const text = at.decode(string, value);
        if (text === INVALID) continue;
        const wrong = place.source.isLenient ? undefined : check(name, text);
        if (wrong === undefined) entries.push([name, text]);
        else place.report(key, wrong);
      }
      return entries.length === node.items.length ? Object.fromEntries(entries) : INVALID;
    },
  };
}

/** A value of any shape, as plain data. */
export const anything: Schema<unknown> = {
  decode(node, place) {
    if (isScalar(node)) return node.value;
    if (isSeq<Node>(node)) return node.items.map((child, index) => place.index(index).decode(anything, child));
    if (!isMap<Node, Node | null>(node)) return INVALID;
    return Object.fromEntries(
      node.items.map(({ key, value }) => {
        const name = keyText(key);
        return [name, value === null ? null : place.key(name).decode(anything, value)];
      }),
    );
  },
};
