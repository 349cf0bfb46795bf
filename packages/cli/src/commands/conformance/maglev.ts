import { createHash } from 'node:crypto';
import { jhashTuple4, jhashTuple6 } from '@ciliate/bpf';
import { parseAddress } from '@ciliate/identity';
import {
  type MaglevBackend,
  maglevHashString,
  maglevPermutation,
  maglevTable,
  murmur3,
  parseMaglevSeed,
} from '@ciliate/loadbalancer';
import type { Command } from 'commander';
import { Fields } from '../../conformance/fields.ts';
import { documentOf } from '../../conformance/files.ts';
import { JSON_DOCUMENT, setCommand } from '../../conformance/set_command.ts';
import type { Tally } from '../../conformance/tally.ts';

export function maglevSet(): Command {
  const description = 'Maglev: lookup tables, what they are made of, and the slot of a flow';
  return setCommand('maglev', { description, files: JSON_DOCUMENT }, (file, tally) => {
    const facts = new Fields(documentOf(file), file);
    tally.case();
    for (const vector of facts.all('murmur3_vectors')) checkHash(vector, file, tally);
    for (const [i, vector] of facts.all('tables').entries()) checkTable(vector, `${file}: tables[${i}]`, tally);
    for (const vector of facts.object('slot_hash_vectors').all('vectors')) checkFlow(vector, file, tally);
  });
}

const hex64 = (half: bigint): string => half.toString(16).padStart(16, '0');

function checkHash(vector: Fields, file: string, tally: Tally): void {
  const [data, seed] = [vector.text('data'), vector.whole('seed')];
  const [h1, h2] = murmur3(Buffer.from(data), seed);
  const theirs = { h1: vector.raw('h1'), h2: vector.raw('h2') };
  tally.check('murmur3', `${file}: "${data}", seed ${seed}`, { h1: hex64(h1), h2: hex64(h2) }, theirs);
}

/** A table is given by its digest; small ones also whole. */
function checkTable(vector: Fields, where: string, tally: Tally): void {
  const place = `${where}: ${vector.text('name')}, M=${vector.whole('M')}`;
  const m = vector.whole('M');
  const seed = parseMaglevSeed(vector.text('seed_base64')).murmur;
  const backends = vector.all('backends').map(readBackend);
  const table = maglevTable(backends, { m, seed });
  tally.check('table', place, digestOf(table), vector.raw('table_u32le_sha256'));
  if (vector.has('table')) tally.check('slots of a table', place, [...table], vector.raw('table'));
  tally.check('first slots', place, [...table.subarray(0, vector.list('first16').length)], vector.raw('first16'));
  tally.check('slots per backend', place, slotsPerBackend(table, backends), vector.raw('slots_per_backend'));
  for (const permutation of vector.all('permutation_params_first10')) {
    const id = permutation.whole('id');
    const hash_string = maglevHashString(backends.find((backend) => backend.id === id)!);
    const [h1, h2] = murmur3(Buffer.from(hash_string), seed);
    const ours = { id, hash_string, h1: hex64(h1), h2: hex64(h2), ...maglevPermutation(hash_string, m, seed) };
    const theirs = Object.fromEntries(Object.keys(ours).map((name) => [name, permutation.raw(name)]));
    tally.check('permutation', `${place}, backend ${id}`, ours, theirs);
  }
}

const readBackend = (backend: Fields): MaglevBackend => ({
  id: backend.whole('id'),
  address: backend.text('ip'),
  port: backend.whole('port'),
  protocol: backend.oneOf('proto', 'TCP', 'UDP', 'SCTP'),
  scope: backend.whole('scope'),
  weight: backend.whole('weight'),
});

function digestOf(table: Uint32Array): string {
  const bytes = new DataView(new ArrayBuffer(4 * table.length));
  for (const [slot, id] of table.entries()) bytes.setUint32(4 * slot, id, true);
  return createHash('sha256').update(bytes).digest('hex');
}

function slotsPerBackend(table: Uint32Array, backends: readonly MaglevBackend[]): Record<string, number> {
  const counts = new Map(backends.map(({ id }) => [id, 0]));
  for (const id of table) counts.set(id, (counts.get(id) ?? 0) + 1);
  return Object.fromEntries([...counts].filter(([, count]) => count > 0));
}

/** The program sees addresses and ports as they lie in the packet, loaded by a little-endian machine. */
function checkFlow(vector: Fields, file: string, tally: Tally): void {
  const client = vector.text('client_ip');
  const [clientPort, servicePort] = [vector.whole('client_port'), vector.whole('service_port')];
  const [proto, seed] = [vector.whole('proto'), vector.whole('seed')];
  const { family, address } = parseAddress(client);
  const [a = 0, b = 0, c = 0, d = 0] = wordsOf(address, family === 4 ? 4 : 16);
  const [sport, dport] = [be16(clientPort), be16(servicePort)];
  const hash =
    family === 4 ? jhashTuple4(a, sport, dport, proto, seed) : jhashTuple6(a, b, c, d, sport, dport, proto, seed);
  const ours = { hash, slot_mod_16381: hash % 16381, slot_mod_251: hash % 251 };
  const theirs = Object.fromEntries(Object.keys(ours).map((name) => [name, vector.raw(name)]));
  const place = `${file}: ${client} port ${clientPort} to port ${servicePort}, protocol ${proto}, seed ${seed}`;
  tally.check('slot of a flow', place, ours, theirs);
}

function wordsOf(address: bigint, size: number): number[] {
  const bytes = Buffer.from(address.toString(16).padStart(2 * size, '0'), 'hex');
  return Array.from({ length: size / 4 }, (_, i) => bytes.readUInt32LE(4 * i));
}

const be16 = (port: number): number => ((port & 0xff) << 8) | (port >> 8);
