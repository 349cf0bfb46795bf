import { RE2JS } from 're2js';
import { RejectedPolicy } from '../matcher.ts';

/** Does it match the name that a ClientHello asks for, in lower case? */
export type ServerNamePattern = (name: string) => boolean;

const LETTERS = '[-a-zA-Z0-9_]';
const LABEL = `([*]{1,2}|[*]?${LETTERS}+([*]${LETTERS}+)*[*]?)`;
const VALID = RE2JS.compile(`(${LABEL}[.])*${LABEL}`);

const LOWER = '[-a-z0-9_]';
const LABELS = `${LOWER}+([.]${LOWER}+)*`;

/**
 * A name, or a pattern: `*` stands for any letters within a label, also none; `**` for one label or more; `*` by itself for
 * every name. Names are compared as they are: a dot at the end, or an address, is no name that differs.
 * Source: cilium/network_policy.cc, SniPattern.
 * @throws RejectedPolicy for what is no pattern
 */
export function compileServerName(pattern: string, at: string): ServerNamePattern {
  if (!VALID.testExact(pattern)) throw new RejectedPolicy(`${at}: ${JSON.stringify(pattern)} is no pattern of names`);
  const lower = pattern.toLowerCase();
  if (!lower.includes('*')) return (name) => name === lower;
  const regex = RE2JS.compile(lower === '*' ? LABELS : lower.replace(/\*\*|[*.]/g, (sign) => SIGNS[sign]!));
  return (name) => regex.testExact(name);
}

const SIGNS: Readonly<Record<string, string>> = { '.': '[.]', '*': `${LOWER}*`, '**': LABELS };
