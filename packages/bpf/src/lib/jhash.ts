/** Bob Jenkins' hash as in the kernel, on 32-bit words. Source: linux/jhash.h; bpf/lib/hash.h says what goes in. */
const state = new Uint32Array(3);

const rol = (word: number, by: number): number => (word << by) | (word >>> (32 - by));

function mix(): void {
  let a = state[0]!;
  let b = state[1]!;
  let c = state[2]!;
  a -= c;
  a ^= rol(c, 4);
  c += b;
  b -= a;
  b ^= rol(a, 6);
  a += c;
  c -= b;
  c ^= rol(b, 8);
  b += a;
  a -= c;
  a ^= rol(c, 16);
  c += b;
  b -= a;
  b ^= rol(a, 19);
  a += c;
  c -= b;
  c ^= rol(b, 4);
  b += a;
  set(a, b, c);
}

function final(): number {
  let a = state[0]!;
  let b = state[1]!;
  let c = state[2]!;
  c ^= b;
  c -= rol(b, 14);
  a ^= c;
  a -= rol(c, 11);
  b ^= a;
  b -= rol(a, 25);
  c ^= b;
  c -= rol(b, 16);
  a ^= c;
  a -= rol(c, 4);
  b ^= a;
  b -= rol(a, 14);
  c ^= b;
  c -= rol(b, 24);
  return c >>> 0;
}

function set(a: number, b: number, c: number): void {
  state[0] = a;
  state[1] = b;
  state[2] = c;
}

const JHASH_INITVAL = 0xdeadbeef;

/** jhash_3words. */
export function jhash3Words(a: number, b: number, c: number, seed: number): number {
  const start = seed + JHASH_INITVAL + (3 << 2);
  set(a + start, b + start, c + start);
  return final();
}

/** __hash_from_tuple_v6: four words of the source address, the ports in one word, the protocol. */
export function jhashTuple6(
  a: number,
  b: number,
  c: number,
  d: number,
  ports: number,
  proto: number,
  seed: number,
): number {
  set(a, b, c);
  mix();
  set(state[0]! + d, state[1]! + ports, state[2]! + proto);
  mix();
  set(state[0]! + seed, state[1]!, state[2]!);
  return final();
}
