/** `struct metrics_key`, 8 bytes: the key of cilium_metrics. reason u8: 0 = forwarded, else a drop code; dir: `METRICS_KEY_MASK`; line u16 and file u8: the place in Cilium's sources. Source: bpf/lib/common.h. */
export const METRICS_KEY = { size: 8, reason: 0, dir: 1, pad: 1, line: 2, file: 4, reserved: 5 } as const;
/** Bits of the byte at the field's offset in `METRICS_KEY`. */
export const METRICS_KEY_MASK = { dir: 0x3, pad: 0xfc } as const;

/** `struct metrics_value`, 16 bytes: of one CPU. count, bytes u64. Source: bpf/lib/common.h. */
export const METRICS_VALUE = { size: 16, count: 0, bytes: 8 } as const;
