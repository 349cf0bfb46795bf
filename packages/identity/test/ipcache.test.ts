import fc from 'fast-check';
import { expect, test } from 'vitest';
import { allowOverwrite, Ipcache, type IpcacheEntry, type Source } from '../src/index.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const TEN = 0x0a000000;
const entry = (ip: number, prefixLen: number, identity: number, source: Source = 'k8s'): IpcacheEntry => ({
  ip,
  prefixLen,
  identity,
  source,
  hostIp: undefined,
});

const precedence: [existing: Source, next: Source, allowed: boolean][] = [
  ['kube-apiserver', 'local', false],
  ['local', 'kube-apiserver', true],
  ['kvstore', 'k8s', false],
  ['kvstore', 'kvstore', true],
  ['custom-resource', 'k8s', false],
  ['k8s', 'custom-resource', true],
  ['generated', 'restored', false],
  ['restored', 'generated', true],
  ['unspec', 'unspec', true],
];
test.each(precedence)('%s overwritten by %s: %s', (existing, next, allowed) => {
  expect(allowOverwrite(existing, next)).toBe(allowed);
  const ipcache = new Ipcache();
  ipcache.upsert(entry(TEN, 8, 1, existing));
  expect(ipcache.delete(TEN, 8, next)).toBe(allowed);
  expect(ipcache.entries().length).toBe(allowed ? 0 : 1);
});

test('bits after the prefix do not count', () => {
  const ipcache = new Ipcache();
  ipcache.upsert(entry(0x0a010203, 8, 300));
  ipcache.upsert(entry(0xffffffff, 0, 2));
  expect(ipcache.entries()).toEqual([entry(0, 0, 2), entry(TEN, 8, 300)]);
  expect(ipcache.get(0x0a999999, 8)!.identity).toBe(300);
});

test('a listener hears what is there, then every change with what was before, until it ends', () => {
  const ipcache = new Ipcache();
  ipcache.upsert(entry(TEN, 32, 300));
  const heard: string[] = [];
  const end = ipcache.subscribe({
    onUpsert: (now, before) => heard.push(`${now.identity} was ${before?.identity}`),
    onDelete: (gone) => heard.push(`${gone.identity} gone`),
  });
  ipcache.upsert(entry(TEN, 32, 301));
  ipcache.upsert(entry(TEN, 32, 302, 'generated')); // too weak: nobody hears of it
  ipcache.delete(TEN, 32, 'k8s');
  ipcache.delete(TEN, 32, 'k8s');
  end();
  ipcache.upsert(entry(TEN, 32, 303));
  expect(heard).toEqual(['300 was undefined', '301 was 300', '301 gone']);
});

test('a lookup finds what a scan of all entries finds: the longest prefix that holds the address', () => {
  const ip = fc.oneof(fc.integer({ min: 0, max: 0xffffffff }), fc.integer({ min: TEN, max: TEN + 15 }));
  const prefixLen = fc.constantFrom(0, 1, 8, 24, 28, 30, 31, 32);
  const holds = (e: IpcacheEntry, address: number) =>
    e.prefixLen === 0 || e.ip >>> (32 - e.prefixLen) === address >>> (32 - e.prefixLen);
  fc.assert(
    fc.property(fc.array(fc.tuple(ip, prefixLen)), fc.array(ip, { minLength: 1 }), (prefixes, addresses) => {
      const ipcache = new Ipcache();
      prefixes.forEach(([at, length], i) => {
        ipcache.upsert(entry(at, length, 256 + i));
      });
      for (const address of addresses) {
        const holding = ipcache.entries().filter((e) => holds(e, address));
        const longest = holding.sort((a, b) => b.prefixLen - a.prefixLen)[0];
        expect(ipcache.lookup(address)).toEqual(longest);
      }
    }),
    { seed, numRuns: 300 },
  );
});
