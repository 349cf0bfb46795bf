import { dnsLabel, labelKey, labelValue } from '../formats.ts';
import { stringMap } from '../schema/collections.ts';
import { mapped } from '../schema/derived.ts';
import { ignored, ignoredFields, object, optional, refused, required, withDefault } from '../schema/object.ts';
import type { IgnoredField, Schema, ValueField } from '../schema/schema.ts';
import { string, text } from '../schema/values.ts';
import type { ObjectMeta } from '../types.ts';
import { quoted } from '../words.ts';

/** Absent is as good as empty, as in Go. */
export const emptyText: ValueField<string> = withDefault(string, () => '');

export const DEFAULT_NAMESPACE = 'default';

const labels = stringMap((key, value) => labelKey(key) ?? labelValue(value));

// Annotations of Cilium change what it does (global services, no-track ports, ...): dropping one would be a guess.
const CILIUM_ANNOTATION = /^(?:[^/]+\.)?cilium\.io\/|^io\.cilium[./]/;
/** Says what is wrong with the value of an annotation, by its key; those of Cilium that are not among them are refused. */
export type Annotations = Readonly<Record<string, (value: string) => string | undefined>>;
const annotations = (known: Annotations): Schema<Record<string, string>> =>
  stringMap((key, value) => {
    if (Object.hasOwn(known, key)) return known[key]!(value);
    if (CILIUM_ANNOTATION.test(key)) return `annotation ${quoted(key)} is not modelled yet`;
    // Unlike those of labels, keys of annotations may have capitals before the '/'.
    return labelKey(key.toLowerCase()) === undefined ? undefined : `${quoted(key)} is no key of an annotation`;
  });

const FIELDS = {
  labels: withDefault(labels, () => ({})),
  annotations: withDefault(annotations({}), () => ({})),
  deletionTimestamp: refused('objects that are being deleted are'),
  // Kept by the API server.
  ...ignoredFields('creationTimestamp deletionGracePeriodSeconds finalizers generateName generation managedFields'),
  ...ignoredFields('ownerReferences resourceVersion selfLink uid'),
};

/**
 * @param name says what is wrong with a name, undefined if nothing
 * @param known annotations of Cilium that mean something on this kind
 */
export const namespacedMeta = (
  name: (value: string) => string | undefined,
  known: Annotations = {},
): Schema<ObjectMeta> =>
  object({
    name: required(text(name)),
    namespace: withDefault(text(dnsLabel), () => DEFAULT_NAMESPACE),
    ...FIELDS,
    annotations: withDefault(annotations(known), () => ({})),
  });

/** Of an object that belongs to no namespace. @param known as above */
export const clusterMeta = (name: (value: string) => string | undefined, known: Annotations = {}): Schema<ObjectMeta> =>
  mapped(
    object({
      name: required(text(name)),
      namespace: optional(text(() => 'this kind of object belongs to no namespace')),
      ...FIELDS,
      annotations: withDefault(annotations(known), () => ({})),
    }),
    (meta) => ({ ...meta, namespace: '' }),
  );

/** `apiVersion` and `kind` have been looked at before the rest. */
export const TYPE_FIELDS: { apiVersion: IgnoredField; kind: IgnoredField } = { apiVersion: ignored, kind: ignored };
