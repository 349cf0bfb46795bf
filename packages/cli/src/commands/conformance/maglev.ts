import { createHash } from 'node:crypto';
import { jhash3Words, jhashTuple6 } from '@ciliate/bpf';
import { InputError } from '@ciliate/k8s';
import {
  type MaglevBackend,
  maglevPermutation,
  maglevSeeds,
  maglevTable,
  maglevText,
  murmur3,
} from '@ciliate/loadbalancer';
import type { Command } from 'commander';
import ipaddr from 'ipaddr.js';
import { Fields } from '../../conformance/fields.ts';
import { documentOf } from '../../conformance/files.ts';
import { JSON_DOCUMENT, setCommand } from '../../conformance/set_command.ts';
import type { Tally } from '../../conformance/tally.ts';

export function maglevSet(): Command {
  const description = 'Maglev: lookup tables of services, the hash that orders backends, the hash that takes a slot';
  return setCommand('maglev', { description, files: JSON_DOCUMENT }, (file, tally) => {
    const facts = new Fields(documentOf(file), file);
    tally.case();
    for (const vector of facts.all('tables')) checkTable(vector, file, tally);
    for (const vector of facts.all('murmur3_vectors')) checkMurmur(vector, file, tally);
    for (const vector of facts.object('slot_hash_vectors').all('vectors')) checkSlot(vector, file, tally);
  });
}

const hex64 = (value: bigint): string => value.toString(16).padStart(16, '0');

function checkTable(vector: Fields, file: string, tally: Tally): void {
  const size = vector.whole('M');
  const place = `${file}: ${vector.text('name')}, ${size} slots`;
  const seeds = maglevSeeds(vector.text('seed_base64'));
  const backends = vector.all('backends').map(backendOf);
  const table = maglevTable(backends, { size, seeds });
  const slots = new Map<number, number>();
  for (const id of table) slots.set(id, (slots.get(id) ?? 0) + 1);
  const ours: Record<string, unknown> = {
    table_u32le_sha256: createHash('sha256').update(table).digest('hex'),
    first16: [...table.slice(0, 16)],
    slots_per_backend: Object.fromEntries(slots),
  };
  if (vector.has('table')) ours.table = [...table];
  const theirs = Object.fromEntries(Object.keys(ours).map((name) => [name, vector.raw(name)]));
  tally.check('table', place, ours, theirs);
  for (const params of vector.has('permutation_params_first10') ? vector.all('permutation_params_first10') : []) {
    const backend = backends.find(({ id }) => id === params.whole('id'));
    if (backend === undefined) throw new InputError(`${place}: no backend ${params.whole('id')}`, { file });
    const text = maglevText(backend);
    const [h1, h2] = murmur3(Buffer.from(text), seeds.murmur);
    const own = { hash_string: text, h1: hex64(h1), h2: hex64(h2), ...maglevPermutation(text, size, seeds.murmur) };
    const wanted = Object.fromEntries(Object.keys(own).map((name) => [name, params.raw(name)]));
    tally.check('permutation', `${place}: backend ${backend.id}`, own, wanted);
  }
}

const backendOf = (backend: Fields): MaglevBackend => ({
  id: backend.whole('id'),
  address: backend.text('ip'),
  port: backend.whole('port'),
  protocol: backend.text('proto'),
  internal: backend.whole('scope') === 1,
  weight: backend.whole('weight'),
});

function checkMurmur(vector: Fields, file: string, tally: Tally): void {
  const data = vector.text('data');
  const [h1, h2] = murmur3(Buffer.from(data), vector.whole('seed'));
  const theirs = { h1: vector.raw('h1'), h2: vector.raw('h2') };
  tally.check('murmur3', `${file}: ${JSON.stringify(data)}`, { h1: hex64(h1), h2: hex64(h2) }, theirs);
}

/** As the programs hash: words of memory in network order, read as the machine reads them. */
function checkSlot(vector: Fields, file: string, tally: Tally): void {
  const client = vector.text('client_ip');
  const words = wordsOf(client, file);
  const seed = vector.whole('seed');
  const ports = ((swap16(vector.whole('service_port')) << 16) | swap16(vector.whole('client_port'))) >>> 0;
  const proto = vector.whole('proto');
  const [a = 0, b = 0, c = 0, d = 0] = words;
  const hash = words.length === 1 ? jhash3Words(a, ports, proto, seed) : jhashTuple6(a, b, c, d, ports, proto, seed);
  const ours = { hash: hash >>> 0, slot_mod_16381: (hash >>> 0) % 16_381, slot_mod_251: (hash >>> 0) % 251 };
  const theirs = Object.fromEntries(Object.keys(ours).map((name) => [name, vector.raw(name)]));
  tally.check(
    'slot',
    `${file}: ${client} to port ${vector.whole('service_port')}/${proto}, seed ${seed}`,
    ours,
    theirs,
  );
}

const swap16 = (port: number): number => ((port & 0xff) << 8) | (port >>> 8);

function wordsOf(address: string, file: string): number[] {
  if (!ipaddr.isValid(address)) throw new InputError(`${file}: ${address}: want an address`, { file });
  const bytes = Uint8Array.from(ipaddr.parse(address).toByteArray());
  return [...new Uint32Array(bytes.buffer)];
}
