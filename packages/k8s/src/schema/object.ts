import { isMap, type Node } from 'yaml';
import { isNull, keyText, MERGE_KEY } from '../yaml.ts';
import {
  type Enclosing,
  type Fields,
  type IgnoredField,
  INVALID,
  type Invalid,
  type Place,
  type RefusedField,
  type Schema,
  type ValueField,
} from './schema.ts';
import { explainUnknown } from './unknown.ts';

export const required = <T>(schema: Schema<T>, why?: string): ValueField<T> => ({
  is: 'value',
  schema,
  absent: undefined,
  ...(why !== undefined && { why }),
});
/** A field may be absent or null: the two are the same, as in Kubernetes. */
export const optional = <T>(schema: Schema<T>): ValueField<T | undefined> => ({
  is: 'value',
  schema,
  absent: () => undefined,
});
export const withDefault = <T>(schema: Schema<T>, absent: () => NoInfer<T>): ValueField<T> => ({
  is: 'value',
  schema,
  absent,
});
export const ignored: IgnoredField = { is: 'ignored' };
/** @param what with its verb: "egress rules are" */
export const refused = (what: string): RefusedField => ({ is: 'refused', why: `${what} not modelled yet` });
/** @param names separated by spaces */
export const ignoredFields = (names: string): Record<string, IgnoredField> =>
  Object.fromEntries(names.split(' ').map((name) => [name, ignored]));

/** The decoded fields, by name; those only ignored or refused are not among them. */
type Decoded<F extends Fields> = {
  -readonly [K in keyof F as F[K] extends ValueField<unknown> ? K : never]: F[K] extends ValueField<infer T>
    ? T
    : never;
};

/** A mapping with these fields and no other. Every field with a value is there in the result, if only as undefined. */
export function object<const F extends Fields>(fields: F): Schema<Decoded<F>> {
  return { fields, decode: (node, place) => decodeObject(fields, node, place) as Decoded<F> | Invalid };
}

function decodeObject(fields: Fields, node: Node, place: Place): Record<string, unknown> | Invalid {
  if (!isMap<Node, Node | null>(node)) return place.mismatch(node, 'a mapping');
  const here: Enclosing = { fields, path: place.path, around: place.around };
  const values = new Map<string, unknown>();
  const misspelt = new Set<string | undefined>();
  let valid = true;
  for (const { key, value } of node.items) {
    const name = keyText(key);
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (name === MERGE_KEY) {
      valid = false;
    } else if (field === undefined && place.source.isLenient) {
      // as if it were not there
    } else if (field === undefined) {
      const { message, suggestion } = explainUnknown(name, here);
      place.report(key, message, suggestion);
      misspelt.add(suggestion);
      valid = false;
    } else if (field.is === 'ignored') {
      // whatever it is
    } else if (isNull(value) && !(value !== null && takesNull(field, place))) {
      // null is as good as absent
    } else if (field.is === 'refused') {
      place.key(name).report(key, field.why);
      valid = false;
    } else if (value !== null) {
      values.set(name, place.key(name, here).decode(field.schema, value));
    }
  }
  for (const [name, field] of Object.entries(fields)) {
    if (field.is !== 'value' || values.has(name)) continue;
    if (field.absent !== undefined) values.set(name, field.absent());
    else {
      valid = false;
      const why = field.why === undefined ? '' : `: ${field.why}`;
      if (!misspelt.has(name)) place.report(node, `missing required field "${name}"${why}`);
    }
  }
  for (const value of values.values()) valid &&= value !== INVALID;
  return valid ? Object.fromEntries(values) : INVALID;
}

const takesNull = (field: ValueField<unknown> | RefusedField, place: Place): boolean =>
  place.source.isLenient && field.is === 'value' && field.schema.takesNull === true;
