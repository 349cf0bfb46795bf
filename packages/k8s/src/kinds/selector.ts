import { isScalar } from 'yaml';
import { list, stringMap } from '../schema/collections.ts';
import { object, withDefault } from '../schema/object.ts';
import type { Schema } from '../schema/schema.ts';
import { string } from '../schema/values.ts';
import type { LabelSelector, LabelSelectorRequirement } from '../types.ts';
import { emptyText } from './meta.ts';

const requirement: Schema<LabelSelectorRequirement> = object({
  key: emptyText,
  operator: emptyText,
  values: withDefault(list(string), () => []),
});

const mapping: Schema<LabelSelector> = object({
  matchLabels: withDefault(stringMap(), () => ({})),
  matchExpressions: withDefault(list(requirement), () => []),
});

/** A selector as written. Whether its keys and operators are any is checked by who uses it. */
export const labelSelector: Schema<LabelSelector> = {
  ...mapping,
  takesNull: true,
  decode(node, place) {
    if (place.source.isLenient && isScalar(node) && node.value === null)
      return { matchLabels: {}, matchExpressions: [] };
    return mapping.decode(node, place);
  },
};
