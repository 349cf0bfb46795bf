import { lock, unlock } from './allocator.ts';
import { MapError } from './errors.ts';
import { type Address, FIRST_PAGE, type Memory, NULL } from './memory.ts';

/**
 * Names for maps, as /sys/fs/bpf gives them: a list of pins in the memory, so that any thread finds a map by name.
 * Every call takes the memory's lock; nothing here is for the hot path.
 */
const PIN = { next: 0, address: 4, nameBytes: 8, name: 12 } as const;
const NAME_MAX = 255;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const encode = (name: string): Uint8Array => encoder.encode(name);

/** @throws MapError EEXIST if the name is taken, EINVAL for a bad name (empty, with '/', over 255 bytes) */
export function pin(memory: Memory, name: string, address: Address): void {
  const bytes = encode(name);
  if (bytes.length === 0 || bytes.length > NAME_MAX || name.includes('/') || address === NULL) {
    throw new MapError('EINVAL', 'cannot pin', { name, address });
  }
  const at = memory.alloc(PIN.name + bytes.length); // before the lock: the allocator takes it too
  memory.u32[(at + PIN.address) >> 2] = address;
  memory.u32[(at + PIN.nameBytes) >> 2] = bytes.length;
  memory.u8.set(bytes, at + PIN.name);
  const isTaken = locked(memory, () => {
    if (linkTo(memory, name) !== undefined) return true;
    memory.u32[(at + PIN.next) >> 2] = memory.u32[FIRST_PAGE.pins >> 2]!;
    memory.u32[FIRST_PAGE.pins >> 2] = at;
    return false;
  });
  if (!isTaken) return;
  memory.free(at, PIN.name + bytes.length);
  throw new MapError('EEXIST', 'a map is pinned under this name', { name });
}

/** @returns the address of the map pinned under this name, or NULL */
export function pinned(memory: Memory, name: string): Address {
  return locked(memory, () => {
    const link = linkTo(memory, name);
    return link === undefined ? NULL : memory.u32[(memory.u32[link >> 2]! + PIN.address) >> 2]!;
  });
}

/** Takes the name away; the map stays. @throws MapError ENOENT */
export function unpin(memory: Memory, name: string): void {
  const at = locked(memory, () => {
    const link = linkTo(memory, name);
    if (link === undefined) return NULL;
    const found = memory.u32[link >> 2]!;
    memory.u32[link >> 2] = memory.u32[(found + PIN.next) >> 2]!;
    return found;
  });
  if (at === NULL) throw new MapError('ENOENT', 'no map is pinned under this name', { name });
  memory.free(at, PIN.name + memory.u32[(at + PIN.nameBytes) >> 2]!);
}

/** All pins, sorted by name. */
export function pins(memory: Memory): { name: string; address: Address }[] {
  const found = locked(memory, () => {
    const all: { name: string; address: Address }[] = [];
    for (let at = memory.u32[FIRST_PAGE.pins >> 2]!; at !== NULL; at = memory.u32[(at + PIN.next) >> 2]!) {
      all.push({ name: nameOf(memory, at), address: memory.u32[(at + PIN.address) >> 2]! });
    }
    return all;
  });
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function nameOf(memory: Memory, at: Address): string {
  const end = at + PIN.name + memory.u32[(at + PIN.nameBytes) >> 2]!;
  return decoder.decode(memory.u8.slice(at + PIN.name, end));
}

/** Address of the link that points to the pin of this name. */
function linkTo(memory: Memory, name: string): Address | undefined {
  const bytes = encode(name);
  let link: Address = FIRST_PAGE.pins;
  for (let at = memory.u32[link >> 2]!; at !== NULL; at = memory.u32[link >> 2]!) {
    if (isNamed(memory, at, bytes)) return link;
    link = at + PIN.next;
  }
  return undefined;
}

/** By bytes: names in the list are not made texts only to be compared. */
function isNamed({ u8, u32 }: Memory, at: Address, name: Uint8Array): boolean {
  if (u32[(at + PIN.nameBytes) >> 2] !== name.length) return false;
  for (let i = 0; i < name.length; i++) if (u8[at + PIN.name + i] !== name[i]) return false;
  return true;
}

function locked<T>(memory: Memory, work: () => T): T {
  lock(memory.i32);
  try {
    return work();
  } finally {
    unlock(memory.i32);
  }
}
