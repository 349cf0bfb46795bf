import { isIpv6 } from '@ciliate/packet';
import { type AccessLog, type HttpAccessLog, isHttpLog, type SocketAddress } from '../protocol.ts';
import type { LoggedRequest } from './protocol.ts';

/**
 * Log entries on their way out of a worker. As objects they would be taken apart and put together again one by one; here all
 * numbers are in three arrays, and texts that a connection repeats are there once.
 */
export interface LogMessage {
  readonly texts: readonly string[];
  /** Those that the entries are about: `CONNECTION` numbers each. */
  readonly connections: Float64Array;
  /** `ENTRY` numbers each. */
  readonly entries: Float64Array;
  /** Of each entry: time stamp and latency. */
  readonly times: BigInt64Array;
}

// Places of numbers; what is a text, or a name from the lists below, is a place there.
const CONNECTION = {
  size: 6,
  id: 0,
  isIngress: 1,
  sourceIdentity: 2,
  destinationIdentity: 3,
  source: 4,
  destination: 5,
};
/** `status` and `rule`: NONE if there is none. `rest`: JSON of what is rare; `type` OTHER: of all but ends and times. */
const ENTRY = {
  ...{
    size: 10,
    connection: 0,
    request: 1,
    type: 2,
    protocol: 3,
    method: 4,
    path: 5,
    host: 6,
    rule: 7,
    status: 8,
    rest: 9,
  },
};
const TYPES = ['Request', 'Response', 'Denied'] as const satisfies HttpAccessLog['entryType'][];
const PROTOCOLS = ['HTTP/1', 'HTTP/1.1', 'HTTP/2'] as const satisfies HttpAccessLog['protocol'][];
const OTHER = -1;
const NONE = -1;
const NO_LATENCY = -1n << 63n;

const MAX_ENTRIES = 4096;
const MAX_CHARS = 1 << 20;

/** What was said last of a connection. To ask a Map for new texts would cost more than to send them twice. */
interface Said {
  /** Of its numbers. */
  readonly at: number;
  readonly method: Text;
  readonly path: Text;
  readonly host: Text;
  readonly rule: Text;
}
interface Text {
  text: string;
  at: number;
}

/** Gathers entries until somebody takes them. */
export class LogBatch {
  #texts: string[] = [];
  #chars = 0;
  #connections: number[] = [];
  /** By number of the connection. */
  readonly #said = new Map<number, Said>();
  readonly #entries = new Float64Array(MAX_ENTRIES * ENTRY.size);
  readonly #times = new BigInt64Array(MAX_ENTRIES * 2);
  #count = 0;

  get empty(): boolean {
    return this.#count === 0;
  }

  /** No more should come before somebody takes what is there. */
  get full(): boolean {
    return this.#count === MAX_ENTRIES || this.#chars > MAX_CHARS;
  }

  /** @param connection its number; all its entries that name ends name the same */
  add(connection: number, request: number, record: AccessLog): void {
    const entries = this.#entries;
    const at = this.#count * ENTRY.size;
    const times = this.#count++ * 2;
    this.#times[times] = record.timestampNs;
    entries[at + ENTRY.request] = request;
    if (!isHttpLog(record) || record.source === undefined) {
      entries[at + ENTRY.connection] = connection;
      this.#addOther(at, times, record);
      return;
    }
    const { status, rule, scheme, missingHeaders, rejectedHeaders } = record;
    const said = this.#said.get(connection) ?? this.#addConnection(connection, record);
    this.#times[times + 1] = record.latencyNs ?? NO_LATENCY;
    entries[at + ENTRY.connection] = said.at;
    entries[at + ENTRY.type] = TYPES.indexOf(record.entryType);
    entries[at + ENTRY.protocol] = PROTOCOLS.indexOf(record.protocol);
    entries[at + ENTRY.method] = this.#say(said.method, record.method);
    entries[at + ENTRY.path] = this.#say(said.path, record.path);
    entries[at + ENTRY.host] = this.#say(said.host, record.host);
    entries[at + ENTRY.rule] = rule === undefined ? NONE : this.#say(said.rule, rule);
    entries[at + ENTRY.status] = status ?? NONE;
    const rare = missingHeaders || rejectedHeaders || scheme;
    entries[at + ENTRY.rest] = rare ? this.#add(JSON.stringify({ missingHeaders, rejectedHeaders, scheme })) : NONE;
  }

  /** All entries since the last call, in order. */
  take(): LogMessage {
    const message = {
      texts: this.#texts,
      connections: Float64Array.from(this.#connections),
      entries: this.#entries.slice(0, this.#count * ENTRY.size),
      times: this.#times.slice(0, this.#count * 2),
    };
    this.#texts = [];
    this.#chars = 0;
    this.#connections = [];
    this.#said.clear();
    this.#count = 0;
    return message;
  }

  /** What is about no HTTP request, or names no ends, is rare. */
  #addOther(at: number, times: number, { timestampNs, source, destination, ...others }: AccessLog): void {
    const { latencyNs, ...rest } = { latencyNs: undefined, ...others };
    this.#times[times + 1] = latencyNs ?? NO_LATENCY;
    this.#entries[at + ENTRY.type] = OTHER;
    const ends = [addressText(source), addressText(destination)];
    this.#entries[at + ENTRY.rest] = this.#add(JSON.stringify([rest, ...ends]));
  }

  #addConnection(id: number, { isIngress, source, destination, ...record }: HttpAccessLog): Said {
    const at = this.#connections.length;
    this.#connections.push(id, isIngress ? 1 : 0, record.sourceIdentity, record.destinationIdentity);
    this.#connections.push(this.#add(addressText(source)), this.#add(addressText(destination)));
    const nothing = (): Text => ({ text: '', at: NONE });
    const said = { at, method: nothing(), path: nothing(), host: nothing(), rule: nothing() };
    this.#said.set(id, said);
    return said;
  }

  /** @returns the place of a text, which is the last one again, or added */
  #say(last: Text, text: string): number {
    if (last.text !== text || last.at === NONE) {
      last.text = text;
      last.at = this.#add(text);
    }
    return last.at;
  }

  #add(text: string): number {
    this.#chars += text.length;
    return this.#texts.push(text) - 1;
  }
}

/** @returns the entries as they were added */
export function readLogMessage({ texts, connections, entries, times }: LogMessage): LoggedRequest[] {
  const ends: Ends[] = [];
  for (let at = 0; at < connections.length; at += CONNECTION.size) ends[at] = readEnds(connections, at, texts);
  const logged: LoggedRequest[] = [];
  for (let n = 0; n < times.length / 2; n++) {
    const at = n * ENTRY.size;
    const latency = times[n * 2 + 1]!;
    const about = { timestampNs: times[n * 2]!, latencyNs: latency === NO_LATENCY ? undefined : latency };
    logged.push(
      entries[at + ENTRY.type] === OTHER
        ? readOther(entries, at, texts, about)
        : readHttp(entries, at, texts, ends[entries[at + ENTRY.connection]!]!, about),
    );
  }
  return logged;
}

type Ends = { readonly id: number } & Pick<
  HttpAccessLog,
  'isIngress' | 'sourceIdentity' | 'destinationIdentity' | 'source' | 'destination'
>;
type Times = Pick<HttpAccessLog, 'timestampNs' | 'latencyNs'>;

const readEnds = (connections: Float64Array, at: number, texts: readonly string[]): Ends => ({
  id: connections[at + CONNECTION.id]!,
  isIngress: connections[at + CONNECTION.isIngress] === 1,
  sourceIdentity: connections[at + CONNECTION.sourceIdentity]!,
  destinationIdentity: connections[at + CONNECTION.destinationIdentity]!,
  source: readAddress(texts[connections[at + CONNECTION.source]!]!),
  destination: readAddress(texts[connections[at + CONNECTION.destination]!]!),
});

function readHttp(
  entries: Float64Array,
  at: number,
  texts: readonly string[],
  ends: Ends,
  times: Times,
): LoggedRequest {
  const rule = entries[at + ENTRY.rule]!;
  const status = entries[at + ENTRY.status]!;
  const rest = entries[at + ENTRY.rest]!;
  const record: HttpAccessLog = {
    timestampNs: times.timestampNs,
    entryType: TYPES[entries[at + ENTRY.type]!]!,
    isIngress: ends.isIngress,
    sourceIdentity: ends.sourceIdentity,
    destinationIdentity: ends.destinationIdentity,
    source: ends.source,
    destination: ends.destination,
    method: texts[entries[at + ENTRY.method]!]!,
    path: texts[entries[at + ENTRY.path]!]!,
    host: texts[entries[at + ENTRY.host]!]!,
    protocol: PROTOCOLS[entries[at + ENTRY.protocol]!]!,
    status: status === NONE ? undefined : status,
    latencyNs: times.latencyNs,
    rule: rule === NONE ? undefined : texts[rule],
  };
  const request = entries[at + ENTRY.request]!;
  if (rest === NONE) return { connection: ends.id, request, record };
  return { connection: ends.id, request, record: { ...record, ...JSON.parse(texts[rest]!) } };
}

function readOther(entries: Float64Array, at: number, texts: readonly string[], times: Times): LoggedRequest {
  const [rest, source, destination] = JSON.parse(texts[entries[at + ENTRY.rest]!]!);
  const ends = { source: readAddress(source), destination: readAddress(destination) };
  const { timestampNs, latencyNs } = times;
  return {
    connection: entries[at + ENTRY.connection]!,
    request: entries[at + ENTRY.request]!,
    record: { rule: undefined, ...rest, ...ends, timestampNs, ...(latencyNs !== undefined && { latencyNs }) },
  };
}

/** `number port`; of IPv6 with an n behind the number. */
const addressText = (address: SocketAddress | undefined): string =>
  address === undefined ? '' : `${address.ip}${isIpv6(address.ip) ? 'n' : ''} ${address.port}`;

function readAddress(text: string): SocketAddress | undefined {
  if (text === '') return undefined;
  const [ip, port] = text.split(' ');
  return { ip: ip!.endsWith('n') ? BigInt(ip!.slice(0, -1)) : Number(ip), port: Number(port) };
}
