import { BpfInputError } from '../input_error.ts';

/** One case of a profile's vectors: what a release's own policy function answered about one small policy map. */
export interface VectorCase {
  name: string;
  profile: string;
  icmp: 'on' | 'off';
  entries: VectorEntry[];
  lookups: VectorLookup[];
}

/** `key` and `value` are the raw bytes, hex. */
export interface VectorEntry {
  dir: 'ingress' | 'egress';
  identity: number;
  protocol: number;
  dport: number;
  portPrefixLen?: number;
  deny: boolean;
  proxyPort: number;
  authType?: number;
  authExplicit?: boolean;
  proxyPortPriority?: number;
  precedence?: number;
  cookie?: number;
  key: string;
  value: string;
}

export interface VectorLookup {
  dir: 'ingress' | 'egress';
  remoteIdentity: number;
  protocol: number;
  dport: number;
  fragment: boolean;
  family: 4 | 6;
  icmpType?: number;
  icmpCode?: number;
  truncated?: boolean;
  skipMark?: boolean;
  expect: VectorAnswer;
}

/** `hits`: for each map lookup the index of the entry found, or -1. */
export interface VectorAnswer {
  ret: number;
  verdict: string;
  proxyPort: number;
  matchType: number;
  lookups: number;
  hits: number[];
  extErr?: number;
  cookie?: number;
}

/** @param where for messages: file and line. @throws BpfInputError for what is no case */
export function parseVector(line: string, where: string): VectorCase {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new BpfInputError(`${where}: not JSON: ${(cause as Error).message}`, { where }, cause);
  }
  const wrong = (field: string, want: string): BpfInputError =>
    new BpfInputError(`${where}: ${field}: want ${want}`, { where });
  const check = (object: unknown, path: string, fields: Fields): void => {
    if (!isObject(object)) throw wrong(path, 'an object');
    for (const [field, [isRight, want]] of Object.entries(fields))
      if (!isRight(object[field])) throw wrong(path === 'case' ? field : `${path}.${field}`, want);
  };
  check(value, 'case', CASE);
  const vector = value as VectorCase;
  for (const [i, entry] of vector.entries.entries()) check(entry, `entries[${i}]`, ENTRY);
  for (const [i, lookup] of vector.lookups.entries()) {
    check(lookup, `lookups[${i}]`, LOOKUP);
    check(lookup.expect, `lookups[${i}].expect`, ANSWER);
  }
  return vector;
}

/** For each field: what it must be, and in words. */
type Fields = Readonly<Record<string, [isRight: (value: unknown) => boolean, want: string]>>;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const oneOf = (...values: unknown[]): Fields[string] => [
  (value) => values.includes(value),
  values.map((value) => JSON.stringify(value)).join(' or '),
];
const upTo = (max: number): Fields[string] => [
  (value) => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= max,
  `a number from 0 to ${max}`,
];
const TEXT: Fields[string] = [(value) => typeof value === 'string', 'text'];
const FLAG = oneOf(true, false);
const LIST: Fields[string] = [Array.isArray, 'a list'];
const WHOLE: Fields[string] = [Number.isInteger, 'a whole number'];
const HEX: Fields[string] = [(value) => typeof value === 'string' && /^(?:[0-9a-f]{2})+$/.test(value), 'bytes as hex'];
const optional = ([isRight, want]: Fields[string]): Fields[string] => [
  (value) => value === undefined || isRight(value),
  want,
];
const DIRECTION = oneOf('ingress', 'egress');
const BYTE = upTo(0xff);
const PORT = upTo(0xffff);
const U32 = upTo(0xffff_ffff);

const CASE: Fields = { name: TEXT, profile: TEXT, icmp: oneOf('on', 'off'), entries: LIST, lookups: LIST };
const ENTRY: Fields = {
  dir: DIRECTION,
  identity: U32,
  protocol: BYTE,
  dport: PORT,
  portPrefixLen: optional(upTo(16)),
  deny: FLAG,
  proxyPort: PORT,
  authType: optional(BYTE),
  authExplicit: optional(FLAG),
  proxyPortPriority: optional(BYTE),
  precedence: optional(U32),
  cookie: optional(U32),
  key: HEX,
  value: HEX,
};
const LOOKUP: Fields = {
  dir: DIRECTION,
  remoteIdentity: U32,
  protocol: BYTE,
  dport: PORT,
  fragment: FLAG,
  family: oneOf(4, 6),
  icmpType: optional(BYTE),
  icmpCode: optional(BYTE),
  truncated: optional(FLAG),
  skipMark: optional(FLAG),
};
const ANSWER: Fields = {
  ret: WHOLE,
  verdict: TEXT,
  proxyPort: PORT,
  matchType: BYTE,
  lookups: WHOLE,
  hits: LIST,
  extErr: optional(BYTE),
  cookie: optional(U32),
};
