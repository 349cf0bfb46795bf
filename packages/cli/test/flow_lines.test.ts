import type { Flow, LostEvents } from '@ciliate/hubble';
import { expect, test } from 'vitest';
import { flowLines } from '../src/commands/replay.ts';

const nobody = { id: 0, identity: 2, identityName: 'world', namespace: '', podName: '' };
const flow = (timeNs: bigint): Flow => ({
  ...{ timeNs, type: 'L3_L4', verdict: 'FORWARDED', dropReason: 0, authType: 'DISABLED' },
  ...{ ethernet: undefined, ip: undefined, l4: undefined, l7: undefined, summary: 'x', isReply: false },
  ...{ source: nobody, destination: nobody, sourceService: undefined, destinationService: undefined },
  ...{ eventType: { type: 4, subType: 0 }, trafficDirection: 'EGRESS', policyMatchType: 0 },
});
const lost = (timeNs: bigint, numEventsLost: number): LostEvents => ({
  ...{ timeNs, source: 'PERF_EVENT_RING_BUFFER', cpu: 0, numEventsLost },
});

const rows: [name: string, flows: bigint[], lost: [bigint, number][], want: string[]][] = [
  ['nothing was lost', [1n, 2n], [], ['flow', 'flow']],
  ['what one packet lost stands behind its flows', [1n, 1n, 2n], [[1n, 3]], ['flow', 'flow', '3', 'flow']],
  ['what the last one lost stands at the end', [1n], [[1n, 2]], ['flow', '2']],
  [
    'two losses in a row',
    [1n, 4n],
    [
      [2n, 5],
      [3n, 6],
    ],
    ['flow', '5', '6', 'flow'],
  ],
  ['all was lost', [], [[1n, 9]], ['9']],
];

test.each(rows)('replay --flows: %s', (_name, flows, losses, want) => {
  const lines = flowLines({ flows: flows.map(flow), lost: losses.map(([time, count]) => lost(time, count)) });
  const short = lines.map((line) => /^EVENTS LOST: PERF_EVENT_RING_BUFFER CPU\(0\) (\d+)$/.exec(line)?.[1] ?? 'flow');
  expect(short).toEqual(want);
});
