import type { PolicyReason } from '@ciliate/agent';
import { formatOrigin } from '@ciliate/policy';
import { keyText } from './render_explanation.ts';

/** The entry that decided and the rules it comes from, a line each. */
export const renderReason = ({ entry, origins }: PolicyReason): string[] => [
  ...(entry === undefined ? [] : [`entry: ${keyText(entry)}`]),
  ...origins.map((origin) => `from: ${formatOrigin(origin)}`),
];
