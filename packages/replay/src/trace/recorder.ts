import type { Skb, Step, StepSink } from '@ciliate/bpf';
import {
  DEBUG_CAPTURE_MSG,
  DEBUG_MSG,
  DROP_NOTIFY,
  type EventRing,
  POLICY_VERDICT_NOTIFY,
  TRACE_NOTIFY,
} from '@ciliate/maps';

/** What happened to a packet, in order. `frame` is the packet at that moment. */
export type Recorded =
  /** A program, or the host's stack, takes over. */
  | { kind: 'program'; name: string; endpoint: number; frame: Uint8Array }
  | { kind: 'step'; step: Step; frame: Uint8Array }
  | { kind: 'rewrite'; before: Uint8Array; frame: Uint8Array }
  /** A notification: the struct and, from `structSize`, the packet's first bytes. */
  | { kind: 'event'; bytes: Uint8Array; structSize: number; frame: Uint8Array };

/** Sizes of the structs by type of notification. */
const STRUCT_SIZES: Readonly<Record<number, number>> = {
  1: DROP_NOTIFY.size,
  2: DEBUG_MSG.size,
  3: DEBUG_CAPTURE_MSG.size,
  4: TRACE_NOTIFY.size,
  5: POLICY_VERDICT_NOTIFY.size,
};

/** Takes the steps of one packet and puts in between what it notices itself: notifications in the ring, and changed bytes. */
export class StepRecorder implements StepSink {
  readonly recorded: Recorded[] = [];
  /** Only if the packet was dropped. */
  drop: Extract<Step, { kind: 'drop' }> | undefined;
  readonly #skb: Skb;
  readonly #events: EventRing;
  #frame: Uint8Array;

  constructor(skb: Skb, events: EventRing) {
    this.#skb = skb;
    this.#events = events;
    this.#frame = skb.frame();
  }

  push(step: Step): void {
    this.notice();
    this.recorded.push({ kind: 'step', step, frame: this.#frame });
    if (step.kind === 'drop') this.drop = step;
    // Its program runs by tail call.
    if (step.kind === 'local-delivery') this.enter('cil_lxc_policy', step.to);
  }

  /** @param endpoint whose program it is; 0 if it is the host's */
  enter(name: string, endpoint: number): void {
    this.notice();
    this.recorded.push({ kind: 'program', name, endpoint, frame: this.#frame });
  }

  /** Call it also when the last program has ended. */
  notice(): void {
    const now = this.#skb.frame();
    this.#events.drain((bytes) => {
      const structSize = STRUCT_SIZES[bytes[0]!] ?? bytes.length;
      // A notification that shows the packet as it was before comes before the rewrite.
      if (!startsWith(this.#frame, bytes.subarray(structSize))) this.#rewritten(now);
      this.recorded.push({ kind: 'event', bytes, structSize, frame: this.#frame });
    });
    this.#rewritten(now);
  }

  #rewritten(now: Uint8Array): void {
    const before = this.#frame;
    if (now.length === before.length && startsWith(before, now)) return;
    this.#frame = now;
    this.recorded.push({ kind: 'rewrite', before, frame: now });
  }
}

const startsWith = (frame: Uint8Array, start: Uint8Array): boolean =>
  start.length <= frame.length && start.every((byte, i) => byte === frame[i]);
