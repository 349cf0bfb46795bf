import { parseLabel } from '@ciliate/labels';
import { isScalar } from 'yaml';
import { mapped } from '../schema/derived.ts';
import { object } from '../schema/object.ts';
import type { Schema } from '../schema/schema.ts';
import { string } from '../schema/values.ts';
import type { Rule } from '../types.ts';
import { emptyText } from './meta.ts';

type RuleLabel = NonNullable<Rule['labels']>[number];

const parts: Schema<RuleLabel> = object({ key: emptyText, value: emptyText, source: emptyText });
const short: Schema<RuleLabel> = mapped(string, (text) => ({ ...parseLabel(text) }));

/** A label of a rule: key, value and source, or the short form `source:key=value`. Source: pkg/labels/labels.go. */
export const ruleLabel: Schema<RuleLabel> = {
  ...parts,
  decode: (node, place) => (isScalar(node) ? short : parts).decode(node, place),
};
