/** Events that found no room in a ring and were counted instead. Fields as in Hubble's LostEvent. */
export interface LostEvents {
  /** When it was noticed, since the Unix epoch. */
  timeNs: bigint;
  source: 'PERF_EVENT_RING_BUFFER';
  /** The worker whose ring it was. */
  cpu: number;
  numEventsLost: number;
}

/** As `hubble observe` prints it by default, without the newline. Source: hubble/pkg/printer/printer.go. */
export const formatLost = ({ source, cpu, numEventsLost }: LostEvents): string =>
  `EVENTS LOST: ${source} CPU(${cpu}) ${numEventsLost}`;
