import { KafkaError, KafkaReader } from './wire.ts';

/** Requests that are parsed; of others only the header is read. */
export const PARSED = {
  produce: 0,
  fetch: 1,
  offsets: 2,
  metadata: 3,
  offsetcommit: 8,
  offsetfetch: 9,
  findcoordinator: 10,
} as const;

export interface KafkaTopic {
  readonly name: string;
  /** Ids. Metadata requests name none. */
  readonly partitions: readonly number[];
}

export interface KafkaRequest {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly correlationId: number;
  /** '' in version 0 of any request: it is not read there. */
  readonly clientId: string;
  /** Was the body read, too? Only then can it be answered. */
  readonly parsed: boolean;
  /** undefined: the request has no list of topics, or means all. */
  readonly topics: readonly KafkaTopic[] | undefined;
}

/** Bytes of size, key, version and correlation id. */
const HEADER = 12;

/**
 * How long the request at the front of some bytes is.
 * @returns undefined if there are too few bytes to tell
 */
export function frameLength(bytes: Uint8Array): number | undefined {
  if (bytes.length < 8) return undefined;
  return 4 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
}

/**
 * Reads one whole request, its size in front. Versions above those that the fields below know are read as the highest
 * known one. Source: cilium/proxy proxylib/kafka, cilium/kafka proto; the Kafka protocol guide.
 * @throws KafkaError
 */
export function readRequest(bytes: Uint8Array): KafkaRequest {
  if (bytes.length < HEADER) throw new KafkaError('the message is shorter than its header');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [apiKey, apiVersion, correlationId] = [view.getInt16(4), view.getInt16(6), view.getInt32(8)];
  const header = { apiKey, apiVersion, correlationId, clientId: clientIdOf(bytes, view, apiVersion) };
  const readBody = BODIES[apiKey];
  if (readBody === undefined) return { ...header, parsed: false, topics: undefined };
  const reader = new KafkaReader(bytes, HEADER);
  reader.text(); // the client's id, in every version
  return { ...header, parsed: true, topics: readBody(reader, apiVersion) };
}

function clientIdOf(bytes: Uint8Array, view: DataView, version: number): string {
  if (version === 0 || bytes.length < HEADER + 2) return '';
  const length = view.getInt16(HEADER);
  const fits = length > 0 && bytes.length >= HEADER + 2 + length;
  return fits ? new KafkaReader(bytes, HEADER).text() : '';
}

type ReadBody = (reader: KafkaReader, version: number) => KafkaTopic[] | undefined;

/** A list of topics, each with a list of partitions that begin with their ids. */
const topicsOf = (reader: KafkaReader, rest: () => void, nullable = false): KafkaTopic[] | undefined =>
  reader.array(() => {
    const name = reader.text();
    const partitions = reader.array(() => {
      const id = reader.int32();
      rest();
      return id;
    })!;
    return { name, partitions };
  }, nullable);

const BODIES: Readonly<Record<number, ReadBody>> = {
  [PARSED.produce]: (reader, version) => {
    if (version >= 3) reader.text(); // transactional id
    reader.skip(2 + 4); // acks, time-out
    return topicsOf(reader, () => reader.skipBytes());
  },
  [PARSED.fetch]: (reader, version) => {
    reader.skip(4 + 4 + 4); // replica, longest wait, fewest bytes
    if (version >= 3) reader.skip(4); // most bytes
    if (version >= 4) reader.skip(1); // isolation
    return topicsOf(reader, () => reader.skip(version >= 5 ? 20 : 12)); // offset, start of the log, most bytes
  },
  [PARSED.offsets]: (reader, version) => {
    reader.skip(version >= 2 ? 5 : 4); // replica, isolation
    return topicsOf(reader, () => reader.skip(version === 0 ? 12 : 8)); // time, most offsets
  },
  [PARSED.metadata]: (reader, version) => {
    const topics = reader.array(() => ({ name: reader.text(), partitions: [] }), true);
    if (version >= 4) reader.skip(1); // may topics be created?
    return topics;
  },
  [PARSED.offsetcommit]: (reader, version) => {
    reader.text(); // group
    if (version >= 1) {
      reader.skip(4); // generation
      reader.text(); // member
    }
    if (version >= 2) reader.skip(8); // retention
    return topicsOf(reader, () => {
      reader.skip(version === 1 ? 16 : 8); // offset, time
      reader.text(); // metadata
    });
  },
  [PARSED.offsetfetch]: (reader) => {
    reader.text(); // group
    return topicsOf(reader, () => {}, true);
  },
  [PARSED.findcoordinator]: (reader, version) => {
    reader.text(); // group
    if (version >= 1) reader.skip(1); // kind of coordinator
    return undefined;
  },
};
