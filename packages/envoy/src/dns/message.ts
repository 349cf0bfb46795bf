import { type Answer, decode, type Packet, RECURSION_AVAILABLE } from 'dns-packet';

/** The longest message over either transport. RFC 1035 4.2.2. */
export const MAX_DNS_BYTES = 0xffff;
const HEADER_BYTES = 12;
const QR = 0x80;
const MAX_LABEL = 63;

export const RCODE = { noError: 0, serverFailure: 2, nameError: 3, refused: 5 } as const;
export type Rcode = (typeof RCODE)[keyof typeof RCODE];

/** What somebody asks. */
export interface DnsQuestion {
  readonly id: number;
  /** As asked, absolute. */
  readonly name: string;
  /** `A`, `AAAA`, ... */
  readonly type: string;
}

/** What an answer says, as far as policy and the log care. */
export interface DnsAnswer {
  readonly id: number;
  readonly rcode: number;
  readonly name: string;
  readonly type: string;
  /** Of all A and AAAA records, in text form. */
  readonly ips: readonly string[];
  /** Where the name led, absolute. */
  readonly cnames: readonly string[];
  /** The least of all A, AAAA and CNAME records, in seconds; the largest u32 if there is none. */
  readonly ttlS: number;
  readonly rrTypes: readonly string[];
}

const NO_TTL = 0xffff_ffff;
const withDot = (name: string): string => (name.endsWith('.') ? name : `${name}.`);

/** The first question of a query. @returns undefined if the bytes are no query */
export function readQuestion(bytes: Uint8Array): DnsQuestion | undefined {
  if (bytes.length < HEADER_BYTES || (bytes[2]! & QR) !== 0) return undefined;
  const message = tryDecode(bytes);
  const question = message?.questions?.[0];
  const name = questionName(bytes);
  if (question === undefined || name === undefined) return undefined;
  return { id: message!.id ?? 0, name, type: question.type };
}

/**
 * An answer. The owner of each record must be the name asked for, or what the last CNAME led to.
 * @returns undefined if the bytes are no answer, or one that speaks of other names
 */
export function readAnswer(bytes: Uint8Array): DnsAnswer | undefined {
  if (bytes.length < HEADER_BYTES || (bytes[2]! & QR) === 0) return undefined;
  const message = tryDecode(bytes);
  const question = message?.questions?.[0];
  const name = questionName(bytes);
  if (message === undefined || question === undefined || name === undefined) return undefined;
  const ips: string[] = [];
  const cnames: string[] = [];
  const rrTypes: string[] = [];
  let ttlS = NO_TTL;
  let owner = question.name.toLowerCase();
  for (const record of message.answers ?? []) {
    if (!hasOwner(record)) continue;
    if (record.name.toLowerCase() !== owner) return undefined;
    rrTypes.push(record.type);
    if (record.type === 'CNAME') {
      owner = record.data.toLowerCase();
      cnames.push(withDot(record.data));
    } else if (record.type === 'A' || record.type === 'AAAA') ips.push(record.data);
    else continue;
    ttlS = Math.min(ttlS, record.ttl ?? 0);
  }
  const rcode = bytes[3]! & 0x0f;
  return { id: message.id ?? 0, rcode, name, type: question.type, ips, cnames, ttlS, rrTypes };
}

type OwnedAnswer = Extract<Answer, { ttl?: number | undefined }>;
const hasOwner = (record: Answer): record is OwnedAnswer => record.type !== 'OPT';

/**
 * The answer that tells only a code: same id, same question, no records.
 * @param query a message with a question that can be read
 */
export function answerWith(query: Uint8Array, rcode: Rcode): Uint8Array {
  const end = questionEnd(query);
  const out = Uint8Array.from(query.subarray(0, end)); // a copy, also of a Buffer, whose slice is none
  const flags = ((query[2]! & 0x79) << 8) | (QR << 8) | RECURSION_AVAILABLE | rcode;
  const view = new DataView(out.buffer);
  view.setUint16(2, flags);
  view.setUint16(4, 1);
  for (const at of [6, 8, 10]) view.setUint16(at, 0);
  return out;
}

/**
 * The name of the first question as it is compared: a dot within a label is no dot between labels, and is escaped, as is
 * every byte that is no visible ASCII. @returns undefined if it is compressed: nothing is before it that it could point to
 */
function questionName(bytes: Uint8Array): string | undefined {
  let name = '';
  let at = HEADER_BYTES;
  while (bytes[at] !== 0) {
    const length = bytes[at];
    if (length === undefined || length > MAX_LABEL || at + length >= bytes.length) return undefined;
    for (const byte of bytes.subarray(at + 1, at + 1 + length)) name += escaped(byte);
    name += '.';
    at += length + 1;
  }
  return name === '' ? '.' : name;
}

function escaped(byte: number): string {
  const character = String.fromCharCode(byte);
  if (byte <= 0x20 || byte >= 0x7f) return `\\${`${byte}`.padStart(3, '0')}`;
  return '.\\"();@$'.includes(character) ? `\\${character}` : character;
}

/** Where the first question ends; its name is not compressed, since nothing is before it. */
function questionEnd(query: Uint8Array): number {
  let at = HEADER_BYTES;
  while (at < query.length && query[at] !== 0) at += query[at]! + 1;
  return Math.min(query.length, at + 5);
}

function tryDecode(bytes: Uint8Array): Packet | undefined {
  if (bytes.length > MAX_DNS_BYTES) return undefined;
  try {
    return decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
  } catch {
    return undefined; // whatever the port says
  }
}
