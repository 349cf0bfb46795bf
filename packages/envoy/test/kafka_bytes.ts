/** Messages of Kafka's wire, as texts of one char a byte. */
export const int = (length: 1 | 2 | 4, value: number): Buffer => {
  const out = Buffer.alloc(length);
  out.writeIntBE(value, 0, length);
  return out;
};
export const message = (...parts: Buffer[]): string => {
  const body = Buffer.concat(parts);
  return Buffer.concat([int(4, body.length), body]).toString('latin1');
};
export const name = (value: string): Buffer => Buffer.concat([int(2, value.length), Buffer.from(value)]);
/** Metadata about topics, version 1. */
export const metadata = (id: number, ...topics: string[]): string =>
  message(int(2, 3), int(2, 1), int(4, id), name('c'), int(4, topics.length), ...topics.map(name));
/** Heartbeat: its body is not read. */
export const heartbeat = (id: number): string => message(int(2, 12), int(2, 1), int(4, id), name('c'));
export const answer = (id: number, body = 'from the server'): string => message(int(4, id), Buffer.from(body));
/** No brokers, no controller; the topic with error 29. */
export const denial = (id: number, topic: string): string =>
  message(int(4, id), int(4, 0), int(4, 0), int(4, 1), int(2, 29), name(topic), Buffer.from([0]), int(4, 0));
