/* Bytes and checksums of the packet: see src/helpers/skb_helpers.ts, checksum_helpers.ts, checksum.ts. */

// @ts-ignore: the address of the machine's words (STATE of src/machine/machine.ts)
@external("env", "state") declare const STATE: u32;
const DATA: u32 = 8;
const END: u32 = 12;

export const EINVAL: i32 = -22;
export const EFAULT: i32 = -14;
const ENOMEM: i32 = -12;

// Of `__sk_buff`.
const SKB_TYPE: u32 = 4;
const SKB_HASH: u32 = 68;
const PACKET_OTHERHOST: u32 = 3;

// Flags.
const STORE_KNOWN: u32 = 3;
const INVALIDATE_HASH: u32 = 2;
const FIELD_SIZE: u32 = 0x0f;
const L4_KNOWN: u32 = 0xff;
const MARK_MANGLED_0: u32 = 0x20;
const MARK_ENFORCE: u32 = 0x40;

@inline
export function packetData(): u32 {
  return load<u32>(STATE, DATA);
}
@inline
export function packetLength(): u32 {
  return load<u32>(STATE, END) - load<u32>(STATE, DATA);
}

/** As memmove; the few bytes of a field at once. */
@inline
function move(to: u32, from: u32, size: u32): void {
  if (size === 4) store<u32>(to, load<u32>(from));
  else if (size === 2) store<u16>(to, load<u16>(from));
  else if (size === 6) {
    const low = load<u32>(from);
    const high = load<u16>(from, 4);
    store<u32>(to, low);
    store<u16>(to, high, 4);
  } else memory.copy(to, from, size);
}

@inline
function isInside(offset: u32, size: u32): bool {
  return <u64>offset + <u64>size <= <u64>packetLength();
}

export function helper_9(skb: u32, offset: u32, from: u32, size: u32, flags: u32, high: u32): i32 {
  if (((flags & ~STORE_KNOWN) | high) !== 0) return EINVAL;
  if (!isInside(offset, size)) return EFAULT;
  move(packetData() + offset, from, size);
  if ((flags & INVALIDATE_HASH) !== 0) store<u32>(skb, 0, SKB_HASH);
  return 0;
}

export function helper_26(_skb: u32, offset: u32, to: u32, size: u32): i32 {
  if (isInside(offset, size)) {
    move(to, packetData() + offset, size);
    return 0;
  }
  memory.fill(to, 0, size);
  return EFAULT;
}

export function helper_32(skb: u32, type: u32): i32 {
  if (load<u32>(skb, SKB_TYPE) > PACKET_OTHERHOST || type > PACKET_OTHERHOST) return EINVAL;
  store<u32>(skb, type, SKB_TYPE);
  return 0;
}

/** A packet lies in one piece. */
export function helper_39(_skb: u32, length: u32): i32 {
  return length <= packetLength() ? 0 : ENOMEM;
}

@inline
function add(a: u32, b: u32): u32 {
  const sum = <u64>a + <u64>b;
  return <u32>sum + <u32>(sum >> 32);
}
@inline
function sub(a: u32, b: u32): u32 {
  return add(a, ~b);
}
@inline
function to16(sum: u32): u32 {
  const folded = (sum & 0xffff) + (sum >> 16);
  return (folded & 0xffff) + (folded >> 16);
}
@inline
function fold(sum: u32): u32 {
  return ~to16(sum) & 0xffff;
}
@inline
function add16(a: u32, b: u32): u32 {
  const sum = a + b;
  return (sum + (sum >> 16)) & 0xffff;
}

/** Less than 128 KiB. */
function partial(at: u32, size: u32, seed: u32): u32 {
  let sum: u32 = 0;
  let i: u32 = 0;
  for (; i + 3 < size; i += 4) {
    const word = load<u32>(at + i);
    sum += (word & 0xffff) + (word >> 16);
  }
  if (i + 1 < size) {
    sum += load<u16>(at + i);
    i += 2;
  }
  if (i < size) sum += load<u8>(at + i);
  return add(sum, seed);
}

@inline
function isField(offset: u32): bool {
  return offset <= 0xffff && (offset & 1) === 0 && offset + 2 <= packetLength();
}

/** @param size of what changed; 0: `to` is a difference that csum_diff answered */
@inline
function replace(at: u32, from: u32, to: u32, size: u32): i32 {
  const sum: u32 = ~(<u32>load<u16>(at)) & 0xffff;
  if (size === 4) store<u16>(at, <u16>fold(add(sub(0xffff_0000 | sum, from), to)));
  else if (size === 2) store<u16>(at, <u16>(~add16(add16(sum, ~from & 0xffff), to & 0xffff) & 0xffff));
  else if (size === 0 && from === 0) store<u16>(at, <u16>fold(add(to, ~(<u32>load<u16>(at)))));
  else return EINVAL;
  return 0;
}

export function helper_10(_skb: u32, offset: u32, from: u32, to: u32, flags: u32, high: u32): i32 {
  if (((flags & ~FIELD_SIZE) | high) !== 0) return EINVAL;
  if (!isField(offset)) return EFAULT;
  return replace(packetData() + offset, from, to, flags & FIELD_SIZE);
}

export function helper_11(_skb: u32, offset: u32, from: u32, to: u32, flags: u32, high: u32): i32 {
  if (((flags & ~L4_KNOWN) | high) !== 0) return EINVAL;
  if (!isField(offset)) return EFAULT;
  const at = packetData() + offset;
  const keeps0 = (flags & MARK_MANGLED_0) !== 0;
  if (keeps0 && (flags & MARK_ENFORCE) === 0 && load<u16>(at) === 0) return 0;
  const size = flags & FIELD_SIZE;
  const result = replace(at, from, to, size === 2 ? 4 : size);
  if (result === 0 && keeps0 && load<u16>(at) === 0) store<u16>(at, 0xffff);
  return result;
}

export function helper_28(from: u32, fromSize: u32, to: u32, toSize: u32, seed: u32): i32 {
  if (((fromSize | toSize) & 3) !== 0) return EINVAL;
  let sum = seed;
  if (fromSize > 0 && toSize > 0) sum = sub(partial(to, toSize, sum), partial(from, fromSize, 0));
  else if (toSize > 0) sum = partial(to, toSize, sum);
  else if (fromSize > 0) sum = ~partial(from, fromSize, ~sum);
  return to16(sum);
}
