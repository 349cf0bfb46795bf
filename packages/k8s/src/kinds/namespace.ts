import { dnsLabel } from '../formats.ts';
import { ignored, object, required } from '../schema/object.ts';
import type { Schema } from '../schema/schema.ts';
import type { Namespace } from '../types.ts';
import { clusterMeta, TYPE_FIELDS } from './meta.ts';

/** v1 Namespace: only its name and labels matter. */
export const namespace: Schema<Pick<Namespace, 'metadata'>> = object({
  ...TYPE_FIELDS,
  metadata: required(clusterMeta(dnsLabel)),
  spec: ignored,
  status: ignored,
});
