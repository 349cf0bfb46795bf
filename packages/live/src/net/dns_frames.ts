/** DNS messages in a stream: each behind its length in two bytes. RFC 1035, 4.2.2. */
export class DnsFrames {
  #bytes: Buffer = Buffer.alloc(0);

  /** @returns the messages that are complete by these bytes */
  feed(bytes: Uint8Array): Uint8Array[] {
    this.#bytes = this.#bytes.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#bytes, bytes]);
    const messages: Uint8Array[] = [];
    while (this.#bytes.length >= 2) {
      const end = 2 + this.#bytes.readUInt16BE();
      if (this.#bytes.length < end) break;
      messages.push(this.#bytes.subarray(2, end));
      this.#bytes = this.#bytes.subarray(end);
    }
    return messages;
  }
}

/** A message behind its length. */
export function dnsFrame(message: Uint8Array): Uint8Array {
  const out = Buffer.alloc(2 + message.length);
  out.writeUInt16BE(message.length);
  out.set(message, 2);
  return out;
}
