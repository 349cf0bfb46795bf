import { dnsSubdomain } from '../formats.ts';
import { stringMap } from '../schema/collections.ts';
import { mapped } from '../schema/derived.ts';
import { ignored, object, required, withDefault } from '../schema/object.ts';
import type { Schema } from '../schema/schema.ts';
import { string } from '../schema/values.ts';
import type { Secret } from '../types.ts';
import { quoted } from '../words.ts';
import { namespacedMeta, TYPE_FIELDS } from './meta.ts';

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const KEY = /^[-._a-zA-Z0-9]{1,253}$/;

const keyFault = (key: string): string | undefined =>
  KEY.test(key) ? undefined : `${quoted(key)} is no key of a secret`;
/** Line ends may stand anywhere, as a block of YAML has them. */
const base64 = (text: string): string => text.replace(/[\r\n]/g, '');

const encoded = stringMap(
  (key, value) =>
    keyFault(key) ??
    (BASE64.test(base64(value)) ? undefined : `${quoted(key)}: want base64; text as it is stands in stringData`),
);

/** v1 Secret. What is in `stringData` counts more than the same key in `data`, as the API server merges them. */
export const secret: Schema<Omit<Secret, 'kind' | 'position'>> = mapped(
  object({
    ...TYPE_FIELDS,
    metadata: required(namespacedMeta(dnsSubdomain)),
    type: withDefault(string, () => 'Opaque'),
    immutable: ignored,
    data: withDefault(encoded, () => ({})),
    stringData: withDefault(stringMap(keyFault), () => ({})),
  }),
  ({ metadata, type, data, stringData }) => {
    const decoded = Object.entries(data).map(([key, text]) => [
      key,
      Buffer.from(base64(text), 'base64').toString('latin1'),
    ]);
    const texts = Object.entries(stringData).map(([key, text]) => [key, Buffer.from(text).toString('latin1')]);
    return { metadata, type, data: Object.fromEntries([...decoded, ...texts]) };
  },
);
