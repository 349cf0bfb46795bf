import { closeSync, openSync, writeSync } from 'node:fs';
import type { Agent } from '@ciliate/agent';
import { parseEvent } from '@ciliate/hubble';
import { CaptureError } from '@ciliate/packet';
import type { BatchRing } from './batch_ring.ts';
import type { EventStream } from './event_stream.ts';
import { flowJson, lostJson } from './flow_json.ts';
import type { Output } from './pcap_output.ts';
import { ENTRY } from './protocol.ts';

/** As Hubble names the one node of the emulator. */
const NODE_NAME = 'node-1';
const FLUSH_CHARACTERS = 64 * 1024;

/** Hubble flows of the events, one JSON object a line. */
export class FlowsOutput implements Output {
  readonly #agent: Agent;
  readonly #streams: readonly EventStream[];
  readonly #path: string;
  readonly #fd: number;
  readonly #pending = new Map<number, Uint8Array[]>();
  #text: string[] = [];
  #characters = 0;

  /** @param path a file, or `-` for the standard output. @throws CaptureError if it cannot be written */
  constructor(agent: Agent, path: string, streams: readonly EventStream[]) {
    this.#agent = agent;
    this.#path = path;
    this.#streams = streams;
    this.#fd = path === '-' ? 1 : this.#orFail(() => openSync(path, 'w'));
  }

  /** Takes what workers have told, so that none of them waits for room. */
  collect(): void {
    for (const stream of this.#streams)
      stream.drain((number, event) => {
        const events = this.#pending.get(number);
        if (events === undefined) this.#pending.set(number, [event]);
        else events.push(event);
      });
  }

  batch(ring: BatchRing, batch: number): void {
    this.collect();
    const { u32 } = this.#agent.memory;
    const count = ring.count(batch);
    for (let i = 0, entry = ring.entries(batch); i < count; i++, entry += ENTRY.words) {
      const number = u32[entry + ENTRY.number]!;
      const events = this.#pending.get(number);
      if (events === undefined) continue;
      this.#pending.delete(number);
      const timeNs = BigInt(u32[entry + ENTRY.seconds]!) * 1_000_000_000n + BigInt(u32[entry + ENTRY.nanoseconds]!);
      for (const event of events) {
        const flow = parseEvent(event, this.#agent.resolver, timeNs);
        this.#line(flowJson(flow, event, NODE_NAME, this.#labelsOf));
      }
    }
  }

  /** Tells of events that found no room in the rings of the programs. */
  lost(count: number): void {
    if (count > 0) this.#line(lostJson(count, NODE_NAME));
  }

  close(): void {
    this.#flush();
    if (this.#fd !== 1) closeSync(this.#fd);
  }

  readonly #labelsOf = (identity: number): string[] => this.#agent.identities.get(identity)?.toStrings() ?? [];

  #line(text: string): void {
    this.#text.push(text, '\n');
    this.#characters += text.length;
    if (this.#characters >= FLUSH_CHARACTERS) this.#flush();
  }

  #flush(): void {
    const bytes = Buffer.from(this.#text.join(''));
    this.#text = [];
    this.#characters = 0;
    for (let done = 0; done < bytes.length; ) done += this.#orFail(() => writeSync(this.#fd, bytes, done));
  }

  #orFail<T>(call: () => T): T {
    for (;;) {
      try {
        return call();
      } catch (cause) {
        // A pipe whose reader is slow: there is nothing to do but to try again.
        if ((cause as NodeJS.ErrnoException).code === 'EAGAIN') Atomics.wait(PATIENCE, 0, 0, RETRY_MS);
        else throw new CaptureError(this.#path, `cannot be written: ${(cause as Error).message}`, {}, cause);
      }
    }
  }
}

const PATIENCE = new Int32Array(new SharedArrayBuffer(4));
const RETRY_MS = 5;
