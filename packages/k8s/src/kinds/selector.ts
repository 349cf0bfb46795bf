import { labelKey, labelValue } from '../formats.ts';
import { list, stringMap } from '../schema/collections.ts';
import { checked } from '../schema/derived.ts';
import { object, required, withDefault } from '../schema/object.ts';
import type { Schema } from '../schema/schema.ts';
import { text, word } from '../schema/values.ts';
import type { LabelSelector } from '../types.ts';

/** @param key says what is wrong with a key, undefined if nothing */
function selectorOf(key: (value: string) => string | undefined): Schema<LabelSelector> {
  const requirement = checked(
    object({
      key: required(text(key)),
      operator: required(word(['In', 'NotIn', 'Exists', 'DoesNotExist'])),
      values: withDefault(list(text(labelValue)), () => []),
    }),
    ({ operator, values }, fail) => {
      const wantsValues = operator === 'In' || operator === 'NotIn';
      if (wantsValues && values.length === 0) fail(`operator ${operator} needs at least one value`, { at: ['values'] });
      if (!wantsValues && values.length > 0) fail(`operator ${operator} takes no values`, { at: ['values'] });
    },
  );
  return object({
    matchLabels: withDefault(
      stringMap((name, value) => key(name) ?? labelValue(value)),
      () => ({}),
    ),
    matchExpressions: withDefault(list(requirement), () => []),
  });
}

/** A selector over plain Kubernetes labels. */
export const labelSelector = selectorOf(labelKey);

/**
 * A selector over labels with sources: keys such as `k8s:app` and `reserved:host`. Cilium joins source and key by a dot
 * before it checks them (no source is `any`), so the source counts towards the length. Source: pkg/policy/api/selector.go.
 */
export const endpointSelector = selectorOf((key) => labelKey(withSource(key), key));

function withSource(key: string): string {
  if (key.startsWith('$')) return `reserved.${key.slice(1)}`;
  if (key.includes(':')) return key.replace(':', '.');
  return key.startsWith('reserved.') ? key : `any.${key}`;
}
