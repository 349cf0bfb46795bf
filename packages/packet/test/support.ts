import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** Property tests of one file share a seed; it is printed so that a run can be repeated with CILIATE_SEED. */
export function seeded(numRuns: number): { seed: number; numRuns: number } {
  const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
  console.log(`seed ${seed}`);
  return { seed, numRuns };
}

/** @returns a folder for this test file, gone when its tests are done */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ciliate-packet-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  return folder;
}

export function put(folder: string, name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

export const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'));

/** Parts of a capture file in either byte order: numbers are 32 bits unless given as { u16 }; data as it is. */
export function encode(little: boolean, ...parts: (number | { u16: number } | Uint8Array)[]): Uint8Array {
  return Buffer.concat(
    parts.map((part) => {
      if (part instanceof Uint8Array) return part;
      const view = new DataView(new ArrayBuffer(typeof part === 'number' ? 4 : 2));
      if (typeof part === 'number') view.setUint32(0, part, little);
      else view.setUint16(0, part.u16, little);
      return new Uint8Array(view.buffer);
    }),
  );
}

/** A pcapng block: both lengths around a body that is already a multiple of 4 bytes. */
export function block(little: boolean, type: number, ...body: Parameters<typeof encode>[1][]): Uint8Array {
  const bytes = encode(little, ...body);
  return encode(little, type, bytes.length + 12, bytes, bytes.length + 12);
}

export const sectionBlock = (little: boolean): Uint8Array =>
  block(little, 0x0a0d0d0a, 0x1a2b3c4d, { u16: 1 }, { u16: 0 }, 0xffffffff, 0xffffffff);

export const interfaceBlock = (
  little: boolean,
  linkType = 1,
  snapLength = 0,
  options: Uint8Array = new Uint8Array(0),
): Uint8Array => block(little, 1, { u16: linkType }, { u16: 0 }, snapLength, options);

/** An option of at most 4 bytes, and the end of options. */
export function option(little: boolean, code: number, value: Uint8Array): Uint8Array {
  const padding = new Uint8Array((4 - (value.length % 4)) % 4);
  return encode(little, { u16: code }, { u16: value.length }, value, padding, { u16: 0 }, { u16: 0 });
}
