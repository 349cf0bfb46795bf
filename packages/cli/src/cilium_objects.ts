import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { CiliumObjects, Scenario } from '@ciliate/bpf';
import { InputError } from '@ciliate/k8s';
import { type BpfObject, loadObject } from '@ciliate/vm';

const PROGRAMS = ['bpf_lxc', 'bpf_host', 'bpf_overlay'] as const;
/** Of the recorded set, whatever the configuration. An overlay object has no endpoint whose metrics it could count. */
const ALWAYS = ['DROP_NOTIFY', 'TRACE_NOTIFY'];
const NOT_OVERLAY = ['LOCAL_DELIVERY_METRICS'];
const TUNNEL = 'TUNNEL_MODE';
/** Their names in a configuration say that accounting is off. */
const ACCOUNTING: Readonly<Record<string, string>> = {
  NO_CT_ACCT: 'CONNTRACK_ACCOUNTING',
  NO_POL_ACCT: 'POLICY_ACCOUNTING',
};
/** Constants of the recorded set's nodes that no scenario names. */
const CONSTANTS: Readonly<Record<string, string>> = {
  ...{ CT_CONNECTION_LIFETIME_TCP: '8000', CT_SERVICE_LIFETIME_TCP: '8000', CT_SERVICE_CLOSE_REBALANCE: '60' },
  ...{ CT_MAP_SIZE_TCP: '4096', CT_MAP_SIZE_ANY: '4096', CT_REPORT_FLAGS: '0x0007', METRICS_MAP_SIZE: '1024' },
  ...{ POLICY_STATS_MAP_SIZE: '4096', IPCACHE_MAP_SIZE: '65536', AUTH_MAP_SIZE: '8192', TRACE_PAYLOAD_LEN: '128ULL' },
  ...{ MTU: '1500', THIS_MTU: '1500', EPHEMERAL_MIN: '32768' },
};
const CONSTANTS4: Readonly<Record<string, string>> = { IPV4_SNAT_EXCLUSION_DST_CIDR: '0x0000f40a' };
const CONSTANTS6: Readonly<Record<string, string>> = { IPV6_DIRECT_ROUTING: '{ .addr = { 0 } }' };
const CLANG = ['-O2', '-g', '--target=bpf', '-std=gnu99', '-nostdinc', '-mcpu=v3', '-D__NR_CPUS__=2', '-w'];
/** In this order the newest is taken. */
const COMPILERS = ['clang-19', 'clang-18', 'clang-17', 'clang'];

type Subject = Pick<Scenario, 'config' | 'node'>;

/** The objects of one configuration in a folder that `buildObjects` filled. @returns undefined if there are none */
export function readObjects(folder: string, configuration: string): CiliumObjects | undefined {
  const read = (program: string): BpfObject | undefined => {
    const path = join(folder, configuration, `${program}.o`);
    return existsSync(path) ? loadObject(readFileSync(path), path) : undefined;
  };
  const [lxc, host] = [read('bpf_lxc'), read('bpf_host')];
  if (lxc === undefined || host === undefined) return undefined;
  const overlay = read('bpf_overlay');
  return { lxc, host, ...(overlay === undefined ? {} : { overlay }) };
}

/**
 * Compiles Cilium's programs for the configuration of a scenario.
 * @param checkout of Cilium. @param folder gets one folder for each configuration
 * @throws InputError with the compiler's words
 */
export function buildObjects(checkout: string, folder: string, subject: Subject, compiler = findCompiler()): void {
  const bpf = join(resolve(checkout), 'bpf');
  const out = join(folder, subject.config.name);
  const headers = join(out, 'include');
  mkdirSync(headers, { recursive: true });
  writeFileSync(join(headers, 'node_config.h'), nodeConfig(bpf, subject));
  for (const name of ['netdev_config.h', 'filter_config.h']) writeFileSync(join(headers, name), '#pragma once\n');
  writeFileSync(join(headers, 'ep_config.h'), '#pragma once\n#include "lib/utils.h"\n');
  const { defines } = subject.config;
  for (const program of PROGRAMS) {
    if (program === 'bpf_overlay' && !defines.includes(TUNNEL)) continue;
    const chosen = definesOf(defines).filter((name) => program !== 'bpf_overlay' || !NOT_OVERLAY.includes(name));
    const include = [headers, bpf, join(bpf, 'include')].map((path) => `-I${path}`);
    const files = ['-c', join(bpf, `${program}.c`), '-o', join(out, `${program}.o`)];
    try {
      const flags = chosen.map((define) => `-D${define.includes('=') ? define : `${define}=1`}`);
      execFileSync(compiler, [...CLANG, ...include, ...flags, ...files], { stdio: ['ignore', 'ignore', 'pipe'] });
    } catch (error) {
      const { stderr, message } = error as Error & { stderr?: Buffer };
      throw new InputError(`${program}.c, ${subject.config.name}: ${stderr?.toString().trim() || message}`, {});
    }
  }
}

/** @throws InputError if there is none */
export function findCompiler(): string {
  for (const name of COMPILERS) {
    try {
      execFileSync(name, ['--version'], { stdio: 'ignore' });
      return name;
    } catch {}
  }
  throw new InputError(`no clang found (${COMPILERS.join(', ')})`, {});
}

function definesOf(defines: readonly string[]): string[] {
  const accounting = Object.entries(ACCOUNTING).filter(([off]) => !defines.includes(off));
  return [
    ...defines.filter((name) => !(name in ACCOUNTING)),
    ...ALWAYS,
    ...NOT_OVERLAY,
    ...accounting.map(([, on]) => on),
  ];
}

/** Cilium's own header, and then what the node of the scenario has in its place. */
function nodeConfig(bpf: string, { config, node }: Subject): string {
  const values: Record<string, string> = {
    ...CONSTANTS,
    CILIUM_NET_IFINDEX: `${node.cilium_net.ifindex}`,
    CILIUM_HOST_IFINDEX: `${node.cilium_host.ifindex}`,
    CILIUM_HOST_MAC: mac(node.cilium_host.mac),
    CILIUM_NET_MAC: mac(node.cilium_net.mac),
    'NATIVE_DEV_MAC_BY_IFINDEX(_)': mac(node.eth0.mac),
    DIRECT_ROUTING_DEV_IFINDEX: `${node.eth0.ifindex}`,
    HOST_EP_ID: `${node.host_ep_id}`,
    HASH_INIT4_SEED: `${node.maglev.jhash0}U`,
    HASH_INIT6_SEED: `${node.maglev.jhash1}U`,
    LB_MAGLEV_LUT_SIZE: `${node.maglev.table_size}`,
  };
  const ofIpv4 = { ...CONSTANTS4, IPV4_GATEWAY: be32(node.router_ipv4), IPV4_DIRECT_ROUTING: be32(node.ipv4) };
  if (config.defines.includes('ENABLE_IPV4')) Object.assign(values, ofIpv4);
  if (config.defines.includes('ENABLE_IPV6')) Object.assign(values, CONSTANTS6);
  const lines = Object.entries(values).flatMap(([name, value]) => [
    `#undef ${name.replace(/\(.*/, '')}`,
    `#define ${name} ${value}`,
  ]);
  const off = Object.keys(ACCOUNTING).filter((name) => config.defines.includes(name));
  const undefined_ = off.map((name) => `#undef ${ACCOUNTING[name]}`);
  return ['#pragma once', `#include "${join(bpf, 'node_config.h')}"`, ...lines, ...undefined_, ''].join('\n');
}

const mac = (text: string): string =>
  `{ .addr = { ${text
    .split(':')
    .map((byte) => `0x${byte}`)
    .join(', ')} } }`;

/** As a little-endian machine loads it. */
const be32 = (text: string): string =>
  `0x${text
    .split('.')
    .reverse()
    .map((byte) => Number(byte).toString(16).padStart(2, '0'))
    .join('')}`;
