import { type KafkaRequest, type KafkaTopic, PARSED } from './request.ts';
import { KafkaWriter } from './wire.ts';

/** TOPIC_AUTHORIZATION_FAILED */
export const TOPIC_AUTHORIZATION_FAILED = 29;
/** What the real proxy writes as the time of no message, in ms: the year 1 in 64 bits of nanoseconds. */
const NO_TIME = -6_795_364_578_871n;

/**
 * The answer to a denied request: error 29 for every partition that it names, in the format of its version.
 * @returns undefined if its body was not read: then there is no answer, and the client waits
 * Source: cilium/proxy proxylib/kafka/kafkalib/response.go, cilium/kafka proto.
 */
export function denialOf(request: KafkaRequest): Uint8Array | undefined {
  const write = ANSWERS[request.apiKey];
  if (!request.parsed || write === undefined) return undefined;
  const writer = new KafkaWriter().int(4, request.correlationId);
  write(writer, request);
  return writer.message();
}

type WriteAnswer = (writer: KafkaWriter, request: KafkaRequest) => unknown;

const throttle = (writer: KafkaWriter, wanted: boolean): KafkaWriter => (wanted ? writer.int(4, 0) : writer);

const topics = (
  writer: KafkaWriter,
  list: readonly KafkaTopic[] | undefined,
  partition: (id: number) => unknown,
): KafkaWriter => writer.array(list, ({ name, partitions }) => writer.text(name).array(partitions, partition));

const ANSWERS: Readonly<Record<number, WriteAnswer>> = {
  [PARSED.produce]: (writer, { topics: list, apiVersion }) => {
    topics(writer, list, (id) => {
      writer.int(4, id).int(2, TOPIC_AUTHORIZATION_FAILED).int(8, 0); // offset
      if (apiVersion >= 2) writer.int(8, 0); // time
    });
    throttle(writer, apiVersion >= 1);
  },
  [PARSED.fetch]: (writer, { topics: list, apiVersion }) =>
    topics(throttle(writer, apiVersion >= 1), list, (id) => {
      writer.int(4, id).int(2, TOPIC_AUTHORIZATION_FAILED).int(8, 0); // high watermark
      if (apiVersion >= 4) writer.int(8, 0); // last stable offset
      if (apiVersion >= 5) writer.int(8, 0); // start of the log
      if (apiVersion >= 4) writer.int(4, -1); // aborted transactions
      writer.int(4, -1); // records
    }),
  [PARSED.offsets]: (writer, { topics: list, apiVersion }) =>
    topics(throttle(writer, apiVersion >= 2), list, (id) => {
      writer.int(4, id).int(2, TOPIC_AUTHORIZATION_FAILED);
      if (apiVersion >= 1) writer.int(8, NO_TIME);
      writer.array([], () => {}); // offsets
    }),
  [PARSED.metadata]: (writer, { topics: list, apiVersion }) => {
    throttle(writer, apiVersion >= 3).array([], () => {}); // brokers
    if (apiVersion >= 2) writer.text(''); // cluster
    if (apiVersion >= 1) writer.int(4, 0); // controller
    writer.array(list, ({ name }) => {
      writer.int(2, TOPIC_AUTHORIZATION_FAILED).text(name);
      if (apiVersion >= 1) writer.int(1, 0); // internal
      writer.array([], () => {}); // partitions
    });
  },
  [PARSED.offsetcommit]: (writer, { topics: list, apiVersion }) =>
    topics(throttle(writer, apiVersion >= 3), list, (id) => writer.int(4, id).int(2, TOPIC_AUTHORIZATION_FAILED)),
  [PARSED.offsetfetch]: (writer, { topics: list, apiVersion }) => {
    topics(throttle(writer, apiVersion >= 3), list, (id) =>
      writer.int(4, id).int(8, 0).text('').int(2, TOPIC_AUTHORIZATION_FAILED),
    );
    if (apiVersion >= 2) writer.int(2, 0); // no error of the whole
  },
  [PARSED.findcoordinator]: (writer, { apiVersion }) => {
    throttle(writer, apiVersion >= 1).int(2, TOPIC_AUTHORIZATION_FAILED);
    if (apiVersion >= 1) writer.text(''); // message
    writer.int(4, 0).text('').int(4, 0); // coordinator: id, host, port
  },
};
