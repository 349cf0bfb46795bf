import { type Agent, podName } from '@ciliate/agent';
import { dropReason } from '@ciliate/bpf';
import { encodeComment, PcapngWriter } from '@ciliate/packet';
import type { BatchRing } from './batch_ring.ts';
import type { CaptureView } from './capture_view.ts';
import {
  ENTRY,
  FATE_ANSWERED,
  FATE_DROPPED,
  FATE_TO_ENDPOINT,
  FATE_TO_NETWORK,
  FATE_TO_OVERLAY,
  FATE_TO_PROXY,
} from './protocol.ts';

/** What is written while packets are judged, in the order of the trace. */
export interface Output {
  /** The entries of this batch are done. */
  batch(ring: BatchRing, batch: number): void;
  close(): void;
}

/** pcapng of what left the datapath and of what was dropped, each with a comment that says so. */
export class PcapOutput implements Output {
  readonly #agent: Agent;
  readonly #out: PcapngWriter;
  readonly #trace: CaptureView;
  readonly #interfaces = new Map<string, number>();
  readonly #comments = new Map<string, Uint8Array>();

  /** @throws CaptureError if the file cannot be written */
  constructor(agent: Agent, path: string, trace: CaptureView) {
    this.#agent = agent;
    this.#trace = trace;
    this.#out = new PcapngWriter(path, { application: 'ciliate replay' });
  }

  batch(ring: BatchRing, batch: number): void {
    this.#trace.see(batch);
    const { u8, u32 } = this.#agent.memory;
    const count = ring.count(batch);
    for (let i = 0, entry = ring.entries(batch); i < count; i++, entry += ENTRY.words) {
      const fate = u32[entry + ENTRY.fate]!;
      const dropped = (fate & 0xff) === FATE_DROPPED;
      const at = u32[entry + (dropped ? ENTRY.at : ENTRY.outAt)]!;
      const length = u32[entry + (dropped ? ENTRY.length : ENTRY.outLength)]!;
      const to = u32[entry + ENTRY.to]!;
      const name = this.#nameOf(fate & 0xff, to, u32[entry + ENTRY.interface]!);
      const [seconds, nanoseconds] = [u32[entry + ENTRY.seconds]!, u32[entry + ENTRY.nanoseconds]!];
      this.#out.writeFrom(this.#interface(name), seconds, nanoseconds, u8, at, length, length, this.#comment(fate, to));
    }
  }

  close(): void {
    this.#out[Symbol.dispose]();
  }

  /** Of the interface that the packet left by; a dropped one is shown where it came in. */
  #nameOf(fate: number, to: number, cameBy: number): string {
    if (fate === FATE_DROPPED || fate === FATE_ANSWERED) return this.#trace.interfaces[cameBy]?.name ?? 'unnamed';
    if (fate === FATE_TO_ENDPOINT) return this.#podName(to);
    if (fate === FATE_TO_NETWORK) return 'eth0';
    if (fate === FATE_TO_OVERLAY) return this.#agent.tunnelDevice;
    return fate === FATE_TO_PROXY ? 'proxy' : 'cilium_host';
  }

  #podName(ifindex: number): string {
    const pod = this.#agent.endpointOfInterface(ifindex);
    return pod === undefined ? `ifindex ${ifindex}` : podName(pod);
  }

  #interface(name: string): number {
    let id = this.#interfaces.get(name);
    if (id === undefined) {
      id = this.#out.addInterface({ name });
      this.#interfaces.set(name, id);
    }
    return id;
  }

  #comment(word: number, to: number): Uint8Array {
    const key = `${word} ${to}`;
    let comment = this.#comments.get(key);
    if (comment === undefined) {
      comment = encodeComment(this.#text(word & 0xff, (word >>> 8) & 0xff, (word >>> 16) & 0xff, to));
      this.#comments.set(key, comment);
    }
    return comment;
  }

  #text(fate: number, code: number, extError: number, to: number): string {
    switch (fate) {
      case FATE_DROPPED:
        return `dropped: ${code} ${dropReason(code, extError)}`;
      case FATE_TO_ENDPOINT:
        return `to ${this.#podName(to)}`;
      case FATE_TO_NETWORK:
        return 'to the network';
      case FATE_TO_OVERLAY:
        return `to the tunnel, VNI ${to}`;
      case FATE_ANSWERED:
        return 'answered by the datapath';
      case FATE_TO_PROXY:
        return to === 0 ? 'to the proxy, a reply' : `to the proxy, port ${to}`;
      default:
        return 'to the stack of the host';
    }
  }
}
