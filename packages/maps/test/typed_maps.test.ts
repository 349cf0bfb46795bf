import { expect, test } from 'vitest';
import {
  type ArrayMap,
  addCtPacket,
  BACKEND_STATE,
  CT_ENTRY_FLAG,
  createCtMaps,
  ctMapName,
  IpcacheMap,
  LB_LOOKUP_SCOPE_INT,
  LbMaps,
  LxcMap,
  Memory,
  maglevTables,
  openCtMaps,
  openMap,
  pinned,
  readCtEntry,
  readCtTuple,
  SERVICE_FLAG,
  secIdentity,
  setCtBackendId,
  setCtFlags,
  setCtLastRxReport,
  setCtLastTxReport,
  setCtLifetime,
  setCtRevNatIndex,
  setCtRxFlagsSeen,
  setCtSrcSecId,
  setCtTuple4,
  setCtTxFlagsSeen,
  setEndpointKey4,
  setIpcacheKey4,
} from '../src/index.ts';
import { MIB, thrown } from './support.ts';

const IP = 0x0a00_0102; // 10.0.1.2
const VIP = 0x0a60_0001; // 10.96.0.1
const hexAt = (m: Memory, at: number, size: number): string => Buffer.from(m.u8.slice(at, at + size)).toString('hex');
/** The one entry of a pinned map. */
function only(m: Memory, name: string): { key: string; value: string } {
  const map = openMap(m, pinned(m, name));
  const [entry, ...others] = map.entries();
  expect(others).toEqual([]);
  return { key: hexAt(m, entry!.key, map.spec.keySize), value: hexAt(m, entry!.value, map.spec.valueSize) };
}

test('ipcache: bytes as in the real map; the longest prefix answers', () => {
  const m = Memory.create(4 * MIB);
  const ipcache = IpcacheMap.create(m, 100);
  ipcache.upsert(IP, 32, { identity: 0x1_0203, tunnelEndpoint: 0xc0a8_0001, key: 3, flags: 1 });
  expect(only(m, 'cilium_ipcache_v2')).toEqual({
    key: `40000000000000010a000102${'00'.repeat(12)}`,
    value: `03020100c0a80001${'00'.repeat(12)}00000303`,
  });
  const world = { identity: 2, tunnelEndpoint: 0, key: 0, flags: 0 };
  ipcache.upsert(0, 0, world);
  expect(IpcacheMap.open(m).entries()).toEqual([
    { ip: IP, prefixLen: 32, identity: 0x1_0203, tunnelEndpoint: 0xc0a8_0001, key: 3, flags: 3 },
    { ip: 0, prefixLen: 0, ...world },
  ]);
  expect([IP, IP + 1].map((ip) => ipcache.lookup(ip)?.identity)).toEqual([0x1_0203, 2]);
  const key = m.alloc(24);
  m.u8.fill(0xff, key, key + 24); // the hot path writes all of the key
  setIpcacheKey4(m, key, IP, 32, 0);
  expect(secIdentity(m, ipcache.trie.lookup(key))).toBe(0x1_0203);
  setIpcacheKey4(m, key, IP, 32, 1);
  expect(ipcache.trie.lookup(key)).toBe(0); // another cluster's address
  ipcache.delete(IP, 32);
  expect(ipcache.lookup(IP)?.identity).toBe(2);
  expect(thrown(() => ipcache.delete(IP, 32))).toMatchObject({ code: 'ENOENT', context: { ip: IP, prefixLen: 32 } });
  expect(thrown(() => ipcache.upsert(IP, 33, world))).toMatchObject({ code: 'EINVAL' });
});

test('ipcache: IPv6 prefixes beside those of IPv4, and tunnel endpoints of either family', () => {
  const m = Memory.create(4 * MIB);
  const ipcache = IpcacheMap.create(m, 100);
  const pod = (0xfd00n << 112n) | 0x11n;
  const node = (0x2001_0db8n << 96n) | 1n;
  ipcache.upsert(pod, 128, { identity: 0x1_0203, tunnelEndpoint: node, key: 0, flags: 0 });
  expect(only(m, 'cilium_ipcache_v2')).toEqual({
    key: `a000000000000002fd00${'00'.repeat(13)}11`,
    value: `0302010020010db8${'00'.repeat(11)}0100000006`,
  });
  const local = { tunnelEndpoint: 0, key: 0, flags: 0 };
  ipcache.upsert(0xfd00n << 112n, 8, { identity: 16_777_217, ...local });
  ipcache.upsert(0, 0, { identity: 9, ...local });
  ipcache.upsert(0n, 0, { identity: 10, ...local });
  const asked = [pod, pod + 1n, node, IP];
  expect(asked.map((ip) => ipcache.lookup(ip)?.identity)).toEqual([0x1_0203, 16_777_217, 10, 9]);
  expect(ipcache.entries().find(({ identity }) => identity === 0x1_0203)).toMatchObject({
    ip: pod,
    prefixLen: 128,
    tunnelEndpoint: node,
    flags: 6,
  });
  ipcache.upsert(pod, 128, { identity: 0x1_0203, ...local, tunnelEndpoint: 0xc0a8_0001 });
  expect(ipcache.lookup(pod)).toMatchObject({ tunnelEndpoint: 0xc0a8_0001, flags: 2 });
  ipcache.delete(pod, 128);
  expect(ipcache.lookup(pod)?.identity).toBe(16_777_217);
  expect(thrown(() => ipcache.upsert(pod, 129, { identity: 1, ...local }))).toMatchObject({ code: 'EINVAL' });
});

test('cilium_lxc: an IPv6 address', () => {
  const m = Memory.create(4 * MIB);
  const lxc = LxcMap.create(m, 100);
  const mac = new Uint8Array(6);
  const info = { ifindex: 12, lxcId: 0x0123, flags: 0, mac, nodeMac: mac, secId: 0x1_0203 };
  const pod = (0xfd00n << 112n) | 0x11n;
  lxc.upsert(pod, info);
  expect(only(m, 'cilium_lxc').key).toBe(`fd00${'00'.repeat(13)}1102000000`);
  expect(LxcMap.open(m).entries()).toEqual([{ ip: pod, ...info }]);
  expect([lxc.get(pod), lxc.get(0x11)]).toEqual([info, undefined]);
  lxc.delete(pod);
  expect(lxc.get(pod)).toBeUndefined();
});

test('cilium_lxc: bytes as in the real map', () => {
  const m = Memory.create(4 * MIB);
  const lxc = LxcMap.create(m, 100);
  const mac = Uint8Array.of(2, 0x11, 0x22, 0x33, 0x44, 0x55);
  const nodeMac = Uint8Array.of(2, 0xaa, 0xbb, 0xcc, 0xdd, 0xee);
  const info = { ifindex: 12, lxcId: 0x0123, flags: 0, mac, nodeMac, secId: 0x1_0203 };
  lxc.upsert(IP, info);
  const macs = `0211223344550000${'02aabbccddee0000'}`;
  expect(only(m, 'cilium_lxc')).toEqual({
    key: `0a000102${'00'.repeat(12)}01000000`,
    value: `0c000000000023010000000000000000${macs}03020100${'00'.repeat(12)}`,
  });
  expect(LxcMap.open(m).entries()).toEqual([{ ip: IP, ...info }]);
  expect([lxc.get(IP), lxc.get(IP + 1)]).toEqual([info, undefined]);
  const key = m.alloc(24);
  m.u8.fill(0xff, key, key + 24);
  setEndpointKey4(m, key, IP);
  expect(lxc.map.lookup(key)).not.toBe(0);
  expect(thrown(() => lxc.upsert(IP, { ...info, mac: new Uint8Array(5) }))).toMatchObject({ code: 'EINVAL' });
  lxc.delete(IP);
  expect(thrown(() => lxc.delete(IP))).toMatchObject({ code: 'ENOENT' });
});

const V4 = Uint8Array.of(10, 0, 1, 7);
const V6 = Uint8Array.of(0xfd, ...new Uint8Array(14), 7);
const V6_HEX = `fd${'00'.repeat(14)}07`;
const TCP = 6;
// Numbers of two bytes everywhere, so that their order is seen.
const FLAGS = SERVICE_FLAG.sessionAffinity | SERVICE_FLAG.twoScopes;
const frontend = { port: 80, protocol: TCP, scope: LB_LOOKUP_SCOPE_INT, slot: 0x0201 };
const master = { union: 0x0200_2a30, count: 0x0201, qcount: 0x0403, revNatId: 0x0102, flags: FLAGS };

const lbWrites: [name: string, write: (lb: LbMaps) => void, map: string, key: string, value: string][] = [
  [
    'a service of IPv4: counts little-endian, the id of reverse NAT big-endian',
    (lb) => lb.updateService({ ...frontend, address: V4 }, master),
    'cilium_lb4_services_v2',
    '0a0001070050010206010000',
    '302a00020102010210200304',
  ],
  [
    'a service of IPv6',
    (lb) => lb.updateService({ ...frontend, address: V6 }, master),
    'cilium_lb6_services_v2',
    `${V6_HEX}0050010206010000`,
    '302a00020102010210200304',
  ],
  [
    'a backend, with its state in the flags',
    (lb) => lb.updateBackend(5, { address: V4, port: 8080, protocol: TCP, state: BACKEND_STATE.terminating }),
    'cilium_lb4_backends_v3',
    '05000000',
    '0a0001071f90060100000000',
  ],
  [
    'a backend of IPv6',
    (lb) => lb.updateBackend(5, { address: V6, port: 8080, protocol: TCP, state: BACKEND_STATE.active }),
    'cilium_lb6_backends_v3',
    '05000000',
    `${V6_HEX}1f90060000000000`,
  ],
  [
    'reverse NAT',
    (lb) => lb.updateRevNat(0x0102, { address: V4, port: 80 }),
    'cilium_lb4_reverse_nat',
    '0102',
    '0a0001070050',
  ],
  [
    'reverse NAT of IPv6',
    (lb) => lb.updateRevNat(0x0102, { address: V6, port: 80 }),
    'cilium_lb6_reverse_nat',
    '0102',
    `${V6_HEX}0050`,
  ],
  [
    'a match of affinity',
    (lb) => lb.updateAffinityMatch(0x0102, 0x14),
    'cilium_lb_affinity_match',
    '1400000001020000',
    '00',
  ],
  [
    'a source range: 32 bits stand before the address',
    (lb) => lb.updateSourceRange(0x0102, V4, 24),
    'cilium_lb4_source_range',
    '38000000010200000a000107',
    '00',
  ],
  [
    'a source range of IPv6',
    (lb) => lb.updateSourceRange(0x0102, V6, 48),
    'cilium_lb6_source_range',
    `5000000001020000${V6_HEX}`,
    '00',
  ],
];

test.each(lbWrites)('load balancing: %s', (_name, write, map, key, value) => {
  const m = Memory.create(4 * MIB);
  write(LbMaps.create(m, { maxEntries: 100 }));
  expect(only(m, map)).toEqual({ key, value });
});

test('load balancing: what was written can be deleted, twice', () => {
  const m = Memory.create(4 * MIB);
  const lb = LbMaps.create(m, { maxEntries: 100, maglevTableSize: 251 });
  for (const [, write] of lbWrites) write(lb);
  lb.updateMaglev(1, false, new Uint32Array(251).fill(7));
  for (let i = 0; i < 2; i++) {
    lb.deleteService({ ...frontend, address: V4 });
    lb.deleteService({ ...frontend, address: V6 });
    for (const isIpv6 of [false, true]) {
      lb.deleteBackend(5, isIpv6);
      lb.deleteRevNat(0x0102, isIpv6);
    }
    lb.deleteAffinityMatch(0x0102, 0x14);
    lb.deleteSourceRange(0x0102, V4, 24);
    lb.deleteSourceRange(0x0102, V6, 48);
    lb.deleteMaglev(1, false);
  }
  for (const [, , name] of lbWrites) expect(openMap(m, pinned(m, name)).count).toBe(0);
  expect(openMap(m, pinned(m, 'cilium_lb4_maglev')).count).toBe(0);
});

test('load balancing: a Maglev table is an array in the map of its family, and gives its memory back', () => {
  const m = Memory.create(4 * MIB);
  const lb = LbMaps.create(m, { maxEntries: 100, maglevTableSize: 251 });
  const table = Uint32Array.from({ length: 251 }, (_, slot) => slot % 3);
  const write = () => {
    lb.updateMaglev(0x0102, true, table);
    const [entry] = openMap(m, pinned(m, 'cilium_lb6_maglev')).entries();
    const inner = openMap(m, entry!.value) as ArrayMap;
    const [slots] = inner.entries();
    return [hexAt(m, entry!.key, 2), hexAt(m, slots!.value, 12), inner.spec.valueSize];
  };
  expect(write()).toEqual(['0102', '000000000100000002000000', 1004]);
  expect(maglevTables(m, true)).toEqual([{ revNatId: 0x0102, backends: table }]);
  expect(maglevTables(m, false)).toEqual([]);
  expect(maglevTables(Memory.create(MIB), false)).toEqual([]);
  write();
  const bytes = m.usedBytes;
  for (let i = 0; i < 10; i++) write();
  expect(m.usedBytes).toBe(bytes);
  expect(thrown(() => lb.updateMaglev(1, true, new Uint32Array(509)))).toMatchObject({ code: 'EINVAL' });
});

test('load balancing: a full map is an error that names it', () => {
  const lb = LbMaps.create(Memory.create(4 * MIB), { maxEntries: 1 });
  lb.updateRevNat(1, { address: V4, port: 80 });
  expect(thrown(() => lb.updateRevNat(2, { address: V4, port: 80 }))).toMatchObject({
    code: 'E2BIG',
    message: 'cilium_lb4_reverse_nat: update (revNatId=2): E2BIG',
  });
});

test('conntrack maps: two for each shard, pinned; entries read back', () => {
  const m = Memory.create(4 * MIB);
  expect([ctMapName(true, 0), ctMapName(false, 0), ctMapName(true, 2), ctMapName(false, 1)]).toEqual([
    'cilium_ct4_global',
    'cilium_ct_any4_global',
    'cilium_ct4_global_s2',
    'cilium_ct_any4_global_s1',
  ]);
  createCtMaps(m, 0, { tcp: 10, any: 10 });
  const { tcp } = createCtMaps(m, 1, { tcp: 10, any: 20 });
  expect(openCtMaps(m, 1).any.spec.maxEntries).toBe(20);
  expect(thrown(() => createCtMaps(m, 1, { tcp: 1, any: 1 }))).toMatchObject({ code: 'EEXIST' });

  const [key, value] = [m.alloc(16), m.alloc(56)];
  const tuple = { daddr: IP, saddr: VIP, dport: 80, sport: 40_000, nexthdr: 6, flags: 1 };
  setCtTuple4(m, key, tuple.daddr, tuple.saddr, tuple.dport, tuple.sport, tuple.nexthdr, tuple.flags);
  expect(hexAt(m, key, 14)).toBe('0a0001020a60000100509c400601');
  expect(tcp.update(key, value)).toBe(0);
  const at = tcp.lookup(key);
  setCtBackendId(m, at, 7);
  addCtPacket(m, at, 0xffff_ffff);
  addCtPacket(m, at, 3);
  setCtLifetime(m, at, 8000);
  setCtFlags(m, at, CT_ENTRY_FLAG.tx_closing | CT_ENTRY_FLAG.from_tunnel);
  setCtRevNatIndex(m, at, 0x0102);
  setCtTxFlagsSeen(m, at, 2);
  setCtRxFlagsSeen(m, at, 0x12);
  setCtSrcSecId(m, at, 0x1_0203);
  setCtLastTxReport(m, at, 11);
  setCtLastRxReport(m, at, 12);
  expect(hexAt(m, at, 56)).toBe(
    '0000000000000000' +
      '0700000000000000' +
      '0200000000000000' +
      '0200000001000000' + // reserved0 to bytes
      '401f0000' +
      '0204' +
      '0102' +
      '0000' +
      '02' +
      '12' +
      '03020100' +
      '0b000000' +
      '0c000000',
  );
  expect(readCtEntry(m, at)).toEqual({
    backendId: 7,
    packets: 2,
    bytes: 0x1_0000_0002,
    lifetime: 8000,
    flags: ['tx_closing', 'from_tunnel'],
    revNatIndex: 0x0102,
    txFlagsSeen: 2,
    rxFlagsSeen: 0x12,
    srcSecId: 0x1_0203,
    lastTxReport: 11,
    lastRxReport: 12,
  });
  expect(readCtTuple(m, tcp.keyOf(at))).toEqual(tuple);
});
