import type { Address, Memory } from '@ciliate/maps';
import {
  ETH_P_IP,
  ETH_P_IPV6,
  formatIp,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPV6,
  ipv6ExtensionLength,
  ipv6FragmentOffset,
  isIpv6Extension,
  NEXTHDR_FRAGMENT,
} from '@ciliate/packet';
import { FATES, type FlowRow, type FlowTotals } from './protocol.ts';

/** Words of a row. `used` is 0 in a free one; addresses and ports are those of the first packet, as on the wire. */
const ROW = {
  words: 28,
  used: 0,
  low: 1,
  high: 2,
  protocol: 3,
  source: 4,
  destination: 8,
  ports: 12,
  first: 13,
  packets: 14,
  bytesLow: 15,
  bytesHigh: 16,
  lastDrop: 17,
  fates: 18,
} as const;
const IS_IPV6 = 0x100;
const FIRST_ROWS = 1024;

/**
 * The connections of one shard: what each sent and what became of it. Grows to `limit` rows; then those with the fewest
 * packets are forgotten (but counted), so that what a flood leaves behind makes room for what lasts. What is forgotten
 * depends on the shard's packets only.
 */
export class FlowTable {
  readonly #memory: Memory;
  readonly #limit: number;
  #rows = new Uint32Array(FIRST_ROWS * ROW.words);
  #mask = FIRST_ROWS - 1;
  #count = 0;
  #totals: FlowTotals = { connections: 0, forgotten: 0 };

  /** @param limit rows, a power of two and at least 1024 */
  constructor(memory: Memory, limit: number) {
    this.#memory = memory;
    this.#limit = limit;
  }

  get totals(): FlowTotals {
    return { ...this.#totals };
  }

  /**
   * Counts a packet. Allocates nothing but when the table grows.
   * @param low, high the connection, i32: V8 would box a larger number for the call
   * @param at of the frame as it came
   */
  add(low: number, high: number, at: Address, length: number, number: number, fate: number, drop: number): void {
    let row = this.#find(low, high);
    let rows = this.#rows;
    if (rows[row + ROW.used] === 0) {
      if (4 * (this.#count + 1) > 3 * (this.#mask + 1)) {
        this.#makeRoom();
        rows = this.#rows;
        row = this.#find(low, high);
      }
      this.#begin(row, low, high, at, length, number);
    }
    rows[row + ROW.packets]! += 1;
    const bytes = rows[row + ROW.bytesLow]! + length;
    rows[row + ROW.bytesLow] = bytes;
    if (bytes > 0xffff_ffff) rows[row + ROW.bytesHigh]! += 1;
    rows[row + ROW.fates + fate]! += 1;
    if (drop !== 0) rows[row + ROW.lastDrop] = drop;
  }

  /** The `count` connections with the most packets, earlier ones first among equals. */
  top(count: number): FlowRow[] {
    const rows = this.#rows;
    const places: number[] = [];
    for (let row = 0; row < rows.length; row += ROW.words) if (rows[row + ROW.used] !== 0) places.push(row);
    places.sort(
      (x, y) => rows[y + ROW.packets]! - rows[x + ROW.packets]! || rows[x + ROW.first]! - rows[y + ROW.first]!,
    );
    return places.slice(0, count).map((row) => this.#read(row));
  }

  #find(low: number, high: number): number {
    const rows = this.#rows;
    let slot = (low ^ (high >>> 7)) & this.#mask;
    for (;;) {
      const row = slot * ROW.words;
      if (rows[row + ROW.used] === 0 || ((rows[row + ROW.low]! | 0) === low && (rows[row + ROW.high]! | 0) === high))
        return row;
      slot = (slot + 1) & this.#mask;
    }
  }

  #begin(row: number, low: number, high: number, at: Address, length: number, number: number): void {
    const { u8 } = this.#memory;
    const rows = this.#rows;
    this.#count++;
    this.#totals.connections++;
    rows.fill(0, row, row + ROW.words);
    rows[row + ROW.used] = 1;
    rows[row + ROW.low] = low;
    rows[row + ROW.high] = high;
    rows[row + ROW.first] = number;
    const type = length >= 34 ? (u8[at + 12]! << 8) | u8[at + 13]! : 0;
    const ip = at + 14;
    if (type === ETH_P_IP) {
      rows[row + ROW.protocol] = u8[ip + 9]!;
      rows[row + ROW.source] = wordAt(u8, ip + 12);
      rows[row + ROW.destination] = wordAt(u8, ip + 16);
      const l4 = ip + ((u8[ip]! & 15) << 2);
      const isLater = (((u8[ip + 6]! & 0x1f) << 8) | u8[ip + 7]!) !== 0;
      if (!isLater && l4 + 4 <= at + length && hasPorts(u8[ip + 9]!)) rows[row + ROW.ports] = wordAt(u8, l4);
    } else if (type === ETH_P_IPV6 && length >= 54) {
      let protocol = u8[ip + IPV6.nextHeader]!;
      let l4 = ip + IPV6.size;
      while (isIpv6Extension(protocol) && l4 + 8 <= at + length) {
        const isLater = protocol === NEXTHDR_FRAGMENT && ipv6FragmentOffset(u8, l4) > 0;
        const following = u8[l4]!;
        l4 += ipv6ExtensionLength(u8, l4, protocol);
        protocol = following;
        if (isLater) l4 = at + length; // its L4 header is in another fragment
      }
      rows[row + ROW.protocol] = protocol | IS_IPV6;
      for (let i = 0; i < 4; i++) {
        rows[row + ROW.source + i] = wordAt(u8, ip + 8 + 4 * i);
        rows[row + ROW.destination + i] = wordAt(u8, ip + 24 + 4 * i);
      }
      if (l4 + 4 <= at + length && hasPorts(protocol)) rows[row + ROW.ports] = wordAt(u8, l4);
    }
  }

  #makeRoom(): void {
    const old = this.#rows;
    let keep = 0;
    if (this.#mask + 1 < this.#limit) this.#mask = 2 * this.#mask + 1;
    else keep = this.#threshold();
    this.#rows = new Uint32Array((this.#mask + 1) * ROW.words);
    this.#count = 0;
    for (let row = 0; row < old.length; row += ROW.words) {
      if (old[row + ROW.used] === 0) continue;
      if (old[row + ROW.packets]! <= keep) {
        this.#totals.forgotten++;
        continue;
      }
      this.#rows.set(old.subarray(row, row + ROW.words), this.#find(old[row + ROW.low]! | 0, old[row + ROW.high]! | 0));
      this.#count++;
    }
  }

  /** Connections with no more packets than this are forgotten: at least half of them. */
  #threshold(): number {
    const rows = this.#rows;
    const packets: number[] = [];
    for (let row = 0; row < rows.length; row += ROW.words)
      if (rows[row + ROW.used] !== 0) packets.push(rows[row + ROW.packets]!);
    packets.sort((x, y) => x - y);
    return packets[packets.length >> 1]!;
  }

  #read(row: number): FlowRow {
    const rows = this.#rows;
    const isV6 = (rows[row + ROW.protocol]! & IS_IPV6) !== 0;
    const ports = rows[row + ROW.ports]!;
    return {
      protocol: rows[row + ROW.protocol]! & 0xff,
      source: addressText(rows, row + ROW.source, isV6),
      sourcePort: ports >>> 16,
      destination: addressText(rows, row + ROW.destination, isV6),
      destinationPort: ports & 0xffff,
      packets: rows[row + ROW.packets]!,
      bytes: rows[row + ROW.bytesHigh]! * 2 ** 32 + rows[row + ROW.bytesLow]!,
      fates: FATES.map((_, fate) => rows[row + ROW.fates + fate]!),
      lastDrop: rows[row + ROW.lastDrop]!,
      first: rows[row + ROW.first]!,
    };
  }
}

const hasPorts = (protocol: number): boolean =>
  protocol === IPPROTO_TCP || protocol === IPPROTO_UDP || protocol === IPPROTO_SCTP;

const wordAt = (u8: Uint8Array, at: number): number =>
  ((u8[at]! << 24) | (u8[at + 1]! << 16) | (u8[at + 2]! << 8) | u8[at + 3]!) >>> 0;

/** Of a frame that is not IP: 0.0.0.0. */
const addressText = (rows: Uint32Array, at: number, isV6: boolean): string =>
  formatIp(isV6 ? rows.subarray(at, at + 4).reduce((sum, word) => (sum << 32n) | BigInt(word), 0n) : rows[at]!);
