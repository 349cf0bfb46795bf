import { expect, test } from 'vitest';
import {
  addCtPacket,
  CT_ENTRY_FLAG,
  createCtMaps,
  ctMapName,
  IpcacheMap,
  LbMaps,
  type LbService,
  LxcMap,
  Memory,
  openCtMaps,
  openMap,
  pinned,
  readCtEntry,
  readCtTuple,
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
  setLb4Key,
  setLb4RevNatKey,
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

const backend = (id: number) => ({ id, address: IP + id, port: 8080, protocol: 6 });
const service = (...ids: number[]): LbService => ({
  address: VIP,
  port: 80,
  protocol: 6,
  revNatId: 0x0102,
  backends: ids.map(backend),
});

test('services: bytes as in the real maps, the id of reverse NAT big-endian', () => {
  const m = Memory.create(4 * MIB);
  const lb = LbMaps.create(m, 100);
  lb.upsertService(service(5));
  expect(only(m, 'cilium_lb4_backends_v3')).toEqual({ key: '05000000', value: '0a0001071f90060000000000' });
  expect(only(m, 'cilium_lb4_reverse_nat')).toEqual({ key: '0102', value: '0a6000010050' });
  const key = m.alloc(16);
  const slots = [0, 1].map((slot) => {
    setLb4Key(m, key, VIP, 80, 6, slot);
    return [hexAt(m, key, 12), hexAt(m, lb.services.lookup(key), 12)];
  });
  expect(slots).toEqual([
    ['0a6000010050000006000000', '000000000100010200000000'],
    ['0a6000010050010006000000', '050000000000010200000000'],
  ]);
  setLb4RevNatKey(m, key, 0x0102);
  expect(lb.revNat.lookup(key)).not.toBe(0);
});

test('services shrink, grow, share backends and go, and nothing is left behind', () => {
  const m = Memory.create(4 * MIB);
  const lb = LbMaps.create(m, 100);
  const other: LbService = { ...service(2), port: 443, revNatId: 2 };
  const counts = () => [lb.services.count, lb.backends.count, lb.revNat.count];
  lb.upsertService(service(1, 2, 3));
  lb.upsertService(other);
  expect(counts()).toEqual([6, 3, 2]);
  lb.upsertService(service(3));
  expect(counts()).toEqual([4, 2, 2]); // backend 2 is still the other's
  const byPort = (all: LbService[]) => all.sort((a, b) => a.port - b.port);
  expect(byPort(LbMaps.open(m).entries())).toEqual([service(3), other]);
  lb.upsertService(service());
  expect(counts()).toEqual([3, 1, 2]); // a service without backends is still there
  lb.deleteService(other);
  lb.deleteService(service());
  expect(counts()).toEqual([0, 0, 0]);
  expect(thrown(() => lb.deleteService(other))).toMatchObject({ code: 'ENOENT' });
  expect(thrown(() => lb.upsertService(service(0)))).toMatchObject({ code: 'EINVAL' });
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
