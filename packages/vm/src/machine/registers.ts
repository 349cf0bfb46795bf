/** r0 to r10, seen as the types that instructions want: register n is u64[n], its low half u32[2 * n]. */
export class Registers {
  readonly u64 = new BigUint64Array(11);
  readonly i64 = new BigInt64Array(this.u64.buffer);
  readonly u32 = new Uint32Array(this.u64.buffer);
  readonly i32 = new Int32Array(this.u64.buffer);
}
