import { dnsLabel, labelKey, labelValue } from '../formats.ts';
import { stringMap } from '../schema/collections.ts';
import { ignored, ignoredFields, object, refused, required, withDefault } from '../schema/object.ts';
import type { IgnoredField, Schema } from '../schema/schema.ts';
import { text } from '../schema/values.ts';
import type { ObjectMeta } from '../types.ts';
import { quoted } from '../words.ts';

export const DEFAULT_NAMESPACE = 'default';

const labels = stringMap((key, value) => labelKey(key) ?? labelValue(value));

// Annotations of Cilium change what it does (global services, no-track ports, ...): dropping one would be a guess.
const CILIUM_ANNOTATION = /^(?:[^/]+\.)?cilium\.io\/|^io\.cilium[./]/;
const annotations = stringMap((key) => {
  if (CILIUM_ANNOTATION.test(key)) return `annotation ${quoted(key)} is not modelled yet`;
  // Unlike those of labels, keys of annotations may have capitals before the '/'.
  return labelKey(key.toLowerCase()) === undefined ? undefined : `${quoted(key)} is no key of an annotation`;
});

const FIELDS = {
  labels: withDefault(labels, () => ({})),
  annotations: withDefault(annotations, () => ({})),
  deletionTimestamp: refused('objects that are being deleted are'),
  // Kept by the API server.
  ...ignoredFields('creationTimestamp deletionGracePeriodSeconds finalizers generateName generation managedFields'),
  ...ignoredFields('ownerReferences resourceVersion selfLink uid'),
};

/** @param name says what is wrong with a name, undefined if nothing */
export const namespacedMeta = (name: (value: string) => string | undefined): Schema<ObjectMeta> =>
  object({
    name: required(text(name)),
    namespace: withDefault(text(dnsLabel), () => DEFAULT_NAMESPACE),
    ...FIELDS,
  });

export const clusterMeta: Schema<ObjectMeta> = object({
  name: required(text(dnsLabel)),
  namespace: withDefault(
    text(() => 'this kind of object belongs to no namespace'),
    () => '',
  ),
  ...FIELDS,
});

/** `apiVersion` and `kind` have been looked at before the rest. */
export const TYPE_FIELDS: { apiVersion: IgnoredField; kind: IgnoredField } = { apiVersion: ignored, kind: ignored };
