/** Bytes end inside a field, or a length makes no sense. */
export class KafkaError extends Error {
  override readonly name = 'KafkaError';
  readonly code = 'KAFKA_PROTOCOL';
}

/** Most bytes that a length may announce. */
const MAX_BYTES = 100 * 1024 * 1024;

/** Reads the types of Kafka's protocol (big endian) from the front of a message. */
export class KafkaReader {
  readonly #view: DataView;
  #at: number;

  constructor(bytes: Uint8Array, from: number) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = from;
  }

  int8(): number {
    return this.#view.getInt8(this.skip(1));
  }

  int16(): number {
    return this.#view.getInt16(this.skip(2));
  }

  int32(): number {
    return this.#view.getInt32(this.skip(4));
  }

  /** NULLABLE_STRING, one char a byte; null is as empty. */
  text(): string {
    const length = this.int16();
    if (length <= 0) return '';
    const at = this.skip(length);
    return Buffer.from(this.#view.buffer, this.#view.byteOffset + at, length).toString('latin1');
  }

  /** RECORDS or BYTES, not looked at. */
  skipBytes(): void {
    const length = this.int32();
    if (length > 0) this.skip(length);
  }

  /** @param nullable null gives undefined, else it is an error */
  array<T>(item: () => T, nullable = false): T[] | undefined {
    const length = this.int32();
    if (length === -1 && nullable) return undefined;
    if (length < 0 || length > MAX_BYTES) throw new KafkaError(`${length} is no length of a list`);
    const items: T[] = [];
    for (let i = 0; i < length; i++) items.push(item());
    return items;
  }

  /** @returns where the skipped bytes begin @throws KafkaError if there are not so many */
  skip(bytes: number): number {
    const at = this.#at;
    if (bytes > this.#view.byteLength - at) throw new KafkaError('the message ends inside a field');
    this.#at = at + bytes;
    return at;
  }
}

/** Writes a message: a size of 4 bytes, then what it counts. */
export class KafkaWriter {
  readonly #bytes: number[] = [];

  int(bytes: 1 | 2 | 4 | 8, value: bigint | number): this {
    const bits = BigInt.asUintN(64, BigInt(value));
    for (let shift = (bytes - 1) * 8; shift >= 0; shift -= 8) this.#bytes.push(Number((bits >> BigInt(shift)) & 0xffn));
    return this;
  }

  text(value: string): this {
    this.int(2, value.length);
    this.#bytes.push(...Buffer.from(value, 'latin1'));
    return this;
  }

  array<T>(items: readonly T[] | undefined, item: (one: T) => unknown): this {
    this.int(4, items?.length ?? -1);
    for (const one of items ?? []) item(one);
    return this;
  }

  message(): Uint8Array {
    return Uint8Array.from([...new KafkaWriter().int(4, this.#bytes.length).#bytes, ...this.#bytes]);
  }
}
