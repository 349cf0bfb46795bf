import { KAFKA_API_KEYS } from '@ciliate/policy';
import { connectionDenied, endsOf } from '../access_log.ts';
import type { ConnectionSession, SessionSink } from '../carrier.ts';
import { allowedAtNetwork } from '../filter.ts';
import type { CompiledPolicy } from '../network_policy.ts';
import type { AccessLog, KafkaAccessLog, ProxyConnection, Side } from '../protocol.ts';
import { denialOf } from './denial.ts';
import { frameLength, type KafkaRequest, readRequest } from './request.ts';
import { KafkaError } from './wire.ts';

/** Longer requests end the connection: each is held until it is whole. */
const MAX_REQUEST_BYTES = 8 << 20;
const MAX_WAITING_DENIALS = 64;
const SIZE_BYTES = 4;
const ID_BYTES = 4;
const NOTHING = Buffer.alloc(0);

const nameOf = (apiKey: number): string => KAFKA_API_KEYS[apiKey] ?? `${apiKey}`;

/** What a log entry says beside who speaks with whom. */
type About = Pick<KafkaAccessLog, 'apiKey' | 'apiVersion' | 'correlationId' | 'topic'>;
/** Of what is no request, and of answers, that say no more than which request they are to. */
const NO_REQUEST: About = { apiKey: nameOf(0), apiVersion: 0, correlationId: 0, topic: '' };

/**
 * A connection of a Kafka client. Each request is read whole and judged by itself; a denied one never reaches the server and
 * is answered with the protocol's own error between two of the server's answers, or, if it was not read to its end, not at
 * all. What is no request ends the connection. Each topic of a request has a log entry of its own, as the agent makes them
 * of one. Source: cilium/proxy proxylib/kafka; pkg/envoy/accesslog_server.go.
 */
export class KafkaSession implements ConnectionSession {
  closed = false;
  readonly retryAtNs = undefined;
  readonly #connection: ProxyConnection;
  readonly #policy: () => CompiledPolicy | undefined;
  readonly #sink: SessionSink;
  /** Of the client: not judged yet. */
  #requests: Uint8Array[] = [];
  #requestBytes = 0;
  /** As many must be there for anything to be done. */
  #wanted = SIZE_BYTES + SIZE_BYTES;
  #connected = false;
  /** How many were judged. */
  #requestCount = 0;
  /** Of the server's answer under way: bytes still to come, or of its size those that came. */
  #answerLeft = 0;
  #answerSize = NOTHING;
  #answerId = NOTHING;
  /** Answers to denied requests that wait for it. */
  #denials: Uint8Array[] = [];

  constructor(
    connection: ProxyConnection,
    _options: unknown,
    policy: () => CompiledPolicy | undefined,
    sink: SessionSink,
  ) {
    this.#connection = connection;
    this.#policy = policy;
    this.#sink = sink;
  }

  /** Bytes that wait for the server to take others; those of a request that is not whole must be let in. */
  get unread(): number {
    return this.#requestBytes >= this.#wanted ? this.#requestBytes : 0;
  }

  open(nowNs: bigint): void {
    const { remoteIdentity, localPort, ingress } = this.#connection;
    if (allowedAtNetwork(this.#policy(), { remoteIdentity, port: localPort, ingress }).allowed) return;
    this.#log([connectionDenied(this.#connection, nowNs)]);
    this.#sink.add('resetDownstream');
    this.closed = true;
  }

  data(from: Side, bytes: Uint8Array, nowNs: bigint): void {
    if (from === 'downstream') {
      this.#requests.push(bytes);
      this.#requestBytes += bytes.length;
    } else this.#passAnswers(bytes, nowNs);
    this.resume(nowNs);
  }

  resume(nowNs: bigint): void {
    while (!this.closed && this.#requestBytes >= this.#wanted && this.#hasRoom()) this.#judgeNext(nowNs);
  }

  #hasRoom(): boolean {
    if (this.#sink.isFull('upstream') || this.#sink.isFull('downstream')) return false;
    return this.#denials.length < MAX_WAITING_DENIALS;
  }

  end(): void {
    this.#close();
  }

  abort(from: Side): void {
    if (from === 'upstream') this.#connected = false;
    this.#close();
  }

  tick(): void {}

  /** The next request, or the knowledge of how long it is. */
  #judgeNext(nowNs: bigint): void {
    const bytes = this.#requests.length === 1 ? this.#requests[0]! : Buffer.concat(this.#requests);
    const length = frameLength(bytes)!;
    if (length > MAX_REQUEST_BYTES) {
      this.#close();
      return;
    }
    this.#requests = [bytes];
    this.#wanted = length;
    if (bytes.length < length) return;
    this.#requests = [bytes.subarray(length)];
    this.#requestBytes = bytes.length - length;
    this.#wanted = SIZE_BYTES + SIZE_BYTES;
    const request = tryRead(bytes.subarray(0, length));
    if (request !== undefined) {
      this.#judge(request, bytes.subarray(0, length), nowNs);
      return;
    }
    this.#log([this.#entry('Denied', NO_REQUEST, nowNs)]);
    this.#close();
  }

  #judge(request: KafkaRequest, bytes: Uint8Array, nowNs: bigint): void {
    const { remoteIdentity, localPort, ingress } = this.#connection;
    const verdict = this.#policy()?.onPort(localPort, ingress).kafka(remoteIdentity, request);
    const topics = request.topics?.length ? request.topics.map(({ name }) => name) : [''];
    const entryType = verdict?.allowed ? 'Request' : 'Denied';
    const about = { ...request, apiKey: nameOf(request.apiKey) };
    this.#log(topics.map((topic) => this.#entry(entryType, { ...about, topic }, nowNs, verdict?.matchedRule)));
    this.#requestCount++;
    if (verdict?.allowed) {
      this.#connected = true;
      this.#sink.bytes('upstream', bytes);
      return;
    }
    const answer = denialOf(request);
    if (answer === undefined) return;
    if (this.#answerLeft > 0 || this.#answerSize.length > 0) this.#denials.push(answer);
    else this.#sink.bytes('downstream', answer);
  }

  #entry(entryType: KafkaAccessLog['entryType'], about: About, nowNs: bigint, rule?: string): KafkaAccessLog {
    const { apiKey, apiVersion, correlationId, topic } = about;
    const what = { apiKey, apiVersion, correlationId, topic };
    return { timestampNs: nowNs, entryType, ...endsOf(this.#connection), rule, ...what };
  }

  #log(records: readonly AccessLog[]): void {
    if (this.#sink.logs) for (const record of records) this.#sink.log(this.#requestCount, record);
  }

  /** Passes the server's answers on; where one ends, those of the proxy go out. */
  #passAnswers(bytes: Uint8Array, nowNs: bigint): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#answerLeft === 0) {
        const missing = SIZE_BYTES - this.#answerSize.length;
        const size = Buffer.concat([this.#answerSize, bytes.subarray(at, at + missing)]);
        at += Math.min(missing, bytes.length - at);
        this.#answerSize = size.length < SIZE_BYTES ? size : NOTHING;
        if (size.length < SIZE_BYTES) continue;
        this.#answerLeft = size.readUInt32BE();
        this.#sink.bytes('downstream', size);
      }
      const part = bytes.subarray(at, at + this.#answerLeft);
      at += part.length;
      this.#answerLeft -= part.length;
      this.#sink.bytes('downstream', part);
      if (this.#answerId.length < ID_BYTES)
        this.#answerId = Buffer.concat([this.#answerId, part.subarray(0, ID_BYTES - this.#answerId.length)]);
      if (this.#answerLeft === 0) this.#endAnswer(nowNs);
    }
  }

  #endAnswer(nowNs: bigint): void {
    const correlationId = this.#answerId.length < ID_BYTES ? 0 : this.#answerId.readInt32BE();
    this.#log([this.#entry('Response', { ...NO_REQUEST, correlationId }, nowNs)]);
    this.#answerId = NOTHING;
    for (const denial of this.#denials.splice(0)) this.#sink.bytes('downstream', denial);
  }

  #close(): void {
    if (this.#connected) this.#sink.add('closeUpstream');
    this.#sink.add('closeDownstream');
    this.closed = true;
  }
}

/** @returns undefined if it is none */
function tryRead(bytes: Uint8Array): KafkaRequest | undefined {
  try {
    return readRequest(bytes);
  } catch (error) {
    if (error instanceof KafkaError) return undefined;
    throw error;
  }
}
