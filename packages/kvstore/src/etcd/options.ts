import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { KvstoreError } from '../errors.ts';
import type { EtcdOptions, EtcdTls } from './connection.ts';

/** Options of Cilium's that tune what this client does not do. Source: pkg/kvstore/etcd.go. */
const NOT_MODELLED = [
  'etcd.keepaliveHeartbeat',
  'etcd.keepaliveTimeout',
  'etcd.qps',
  'etcd.bootstrapQps',
  'etcd.maxInflight',
  'etcd.limit',
];
const TLS_FILES = { 'trusted-ca-file': 'ca', 'cert-file': 'cert', 'key-file': 'key' } as const;

/**
 * What Cilium's `--kvstore-opt` says: `etcd.address=URL[,URL...]`, or `etcd.config=FILE` with a file of etcd's own
 * (`endpoints`, `trusted-ca-file`, `cert-file`, `key-file`).
 * @throws BAD_INPUT
 */
export function etcdOptions(pairs: readonly string[]): EtcdOptions {
  let options: EtcdOptions | undefined;
  for (const pair of pairs) {
    const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
    if (!pair.includes('=') || value === '') throw bad(`"${pair}": want key=value`);
    if (NOT_MODELLED.includes(name)) throw bad(`${name} is not modelled`);
    if (name === 'etcd.address') options = { ...options, endpoints: value.split(',') };
    else if (name === 'etcd.config') options = { ...readConfig(value), ...options };
    else throw bad(`no option "${name}"; there are etcd.address and etcd.config`);
  }
  if (options === undefined) throw bad('etcd.address or etcd.config must be given');
  return options;
}

function readConfig(file: string): EtcdOptions {
  const config: unknown = parse(read(file).toString('utf8'));
  if (typeof config !== 'object' || config === null) throw bad(`${file}: want a mapping`);
  const { endpoints, ...rest } = config as Record<string, unknown>;
  if (!Array.isArray(endpoints) || !endpoints.every((endpoint) => typeof endpoint === 'string'))
    throw bad(`${file}: endpoints: want a list of URLs`);
  const tls: EtcdTls = {};
  for (const [name, value] of Object.entries(rest)) {
    if (!(name in TLS_FILES)) throw bad(`${file}: ${name} is not modelled`);
    if (typeof value !== 'string') throw bad(`${file}: ${name}: want a path`);
    tls[TLS_FILES[name as keyof typeof TLS_FILES]] = read(value);
  }
  return Object.keys(tls).length === 0 ? { endpoints } : { endpoints, tls };
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw bad(error instanceof Error ? error.message : String(error));
  }
}

const bad = (problem: string): KvstoreError => new KvstoreError('BAD_INPUT', `--kvstore-opt: ${problem}`);
