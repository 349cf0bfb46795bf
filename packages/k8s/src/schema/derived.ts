import { isMap, isSeq, type Node } from 'yaml';
import { indexPath, keyPath } from '../paths.ts';
import { INVALID, Place, type Schema } from './schema.ts';

/** Where a check found a fault, from the value that it was given: field names and list indices. */
type Way = readonly (string | number)[];
export type Fail = (message: string, more?: { at?: Way; suggestion?: string | undefined }) => void;

/**
 * The same schema, then a further look at the value: whatever `check` fails makes it invalid. The agent's own decoder
 * looks at types only, and takes it as it is.
 */
export function checked<T>(schema: Schema<T>, check: (value: T, fail: Fail) => void): Schema<T> {
  return {
    ...schema,
    decode(node, place) {
      const value = schema.decode(node, place);
      if (value === INVALID || place.source.isLenient) return value;
      let valid = true;
      check(value, (message, { at = [], suggestion } = {}) => {
        valid = false;
        const [where, path] = follow(node, place.path, at);
        new Place(place.source, path).report(where, message, suggestion);
      });
      return valid ? value : INVALID;
    },
  };
}

/** The same schema, its value turned into something else. */
export function mapped<T, U>(schema: Schema<T>, turn: (value: T) => U): Schema<U> {
  return {
    ...schema,
    decode(node, place) {
      const value = schema.decode(node, place);
      return value === INVALID ? INVALID : turn(value);
    },
  };
}

/** The node at the end of the way, or the last one there is. */
function follow(start: Node, startPath: string, way: Way): [Node, string] {
  let node = start;
  let path = startPath;
  for (const step of way) {
    const next = isMap(node) || isSeq(node) ? node.get(step, true) : undefined;
    path = typeof step === 'number' ? indexPath(path, step) : keyPath(path, step);
    if (next !== undefined) node = next as Node;
  }
  return [node, path];
}
