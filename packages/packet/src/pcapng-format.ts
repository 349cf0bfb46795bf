// What the pcapng reader and writer share. Source: draft-ietf-opsawg-pcapng, sections 3 and 4; offsets count from the
// start of a block, in bytes.

export const BLOCK = { type: 0, length: 4, body: 8, minSize: 12, trailer: 4 } as const;
export const SECTION = { type: 0x0a0d0d0a, byteOrder: 8, major: 12, minor: 14, length: 16, options: 24 } as const;
export const INTERFACE = { type: 1, linkType: 8, snapLength: 12, options: 16 } as const;
export const SIMPLE_PACKET = { type: 3, original: 8, data: 12 } as const;
export const ENHANCED_PACKET = {
  type: 6,
  interfaceId: 8, // 32 bits
  timeHigh: 12,
  timeLow: 16,
  captured: 20,
  original: 24,
  data: 28,
} as const;
/** Packet Block, obsolete: as the enhanced one, but 16 bits of interface id and 16 of a drop count. */
export const OLD_PACKET_TYPE = 2;

export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

// Option codes; the meaning of those from 2 on depends on the block.
export const OPT_END = 0;
export const OPT_COMMENT = 1;
export const SECTION_OS = 3;
export const SECTION_APPLICATION = 4;
export const INTERFACE_NAME = 2;
export const INTERFACE_DESCRIPTION = 3;
export const INTERFACE_TIME_RESOLUTION = 9;
export const INTERFACE_TIME_OFFSET = 14;

export const OPTION_HEADER_BYTES = 4;

/** Data and options end on 4 bytes. */
export const padded = (length: number): number => Math.ceil(length / 4) * 4;
