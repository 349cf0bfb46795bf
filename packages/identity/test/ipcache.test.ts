import fc from 'fast-check';
import { expect, test } from 'vitest';
import { allowOverwrite, formatPrefix, Ipcache, type IpcacheEntry, parsePrefix, type Source } from '../src/index.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const entry = (text: string, identity: number, source: Source = 'k8s'): IpcacheEntry => ({
  ...{ prefix: parsePrefix(text), identity, source, hostIp: undefined, encryptKey: 0 },
});
const lookup = (ipcache: Ipcache, text: string) => {
  const { family, address } = parsePrefix(text);
  return ipcache.lookup(family, address);
};

const precedence: [existing: Source, next: Source, allowed: boolean][] = [
  ['kube-apiserver', 'local', false],
  ['local', 'kube-apiserver', true],
  ['local', 'kvstore', false],
  ['kvstore', 'custom-resource', false],
  ['kvstore', 'k8s', false],
  ['kvstore', 'kvstore', true],
  ['custom-resource', 'k8s', false],
  ['k8s', 'custom-resource', true],
  ['clustermesh', 'generated', false],
  ['generated', 'restored', false],
  ['restored', 'generated', true],
  ['unspec', 'unspec', true],
];
test.each(precedence)('an endpoint told by %s, then by %s: the second counts: %s', (existing, next, allowed) => {
  expect(allowOverwrite(existing, next)).toBe(allowed);
  const ipcache = new Ipcache();
  ipcache.upsertEndpoint(entry('10.0.0.1', 300, existing));
  expect(ipcache.upsertEndpoint(entry('10.0.0.1', 301, next))).toBe(allowed);
  expect(lookup(ipcache, '10.0.0.1')!.identity).toBe(allowed ? 301 : 300);
});

test('only the source that holds an endpoint takes it away', () => {
  const ipcache = new Ipcache();
  ipcache.upsertEndpoint(entry('10.0.0.1', 300, 'k8s'));
  expect(ipcache.deleteEndpoint(parsePrefix('10.0.0.1'), 'kvstore')).toBe(false);
  expect(ipcache.deleteEndpoint(parsePrefix('10.0.0.1'), 'k8s')).toBe(true);
  expect(ipcache.deleteEndpoint(parsePrefix('10.0.0.1'), 'k8s')).toBe(false);
  expect(ipcache.entries()).toEqual([]);
});

test.each(['10.0.0.1', 'fd00::1'])('an endpoint shadows the prefix of its address alone: %s', (address) => {
  const ipcache = new Ipcache();
  const heard: string[] = [];
  ipcache.upsertPrefix(entry(address, 16777217, 'generated'));
  ipcache.subscribe({
    onUpsert: (now, before) => heard.push(`${now.identity} was ${before?.identity}`),
    onDelete: (gone) => heard.push(`${gone.identity} gone`),
  });
  ipcache.upsertEndpoint(entry(address, 300));
  ipcache.upsertEndpoint(entry(address, 301));
  ipcache.upsertEndpoint(entry(address, 302, 'generated')); // too weak: nobody hears of it
  ipcache.upsertPrefix(entry(address, 16777218, 'kube-apiserver')); // in the shadow
  expect(ipcache.entries().map(({ identity }) => identity)).toEqual([301]);
  ipcache.deleteEndpoint(parsePrefix(address), 'k8s');
  ipcache.deletePrefix(parsePrefix(address));
  expect(heard).toEqual([
    '16777217 was undefined',
    '300 was 16777217',
    '301 was 300',
    '16777218 was 301',
    '16777218 gone',
  ]);
});

test('a prefix that goes while an endpoint shadows it does not come back', () => {
  const ipcache = new Ipcache();
  ipcache.upsertPrefix(entry('10.0.0.1/32', 16777217));
  ipcache.upsertEndpoint(entry('10.0.0.1', 300));
  ipcache.deletePrefix(parsePrefix('10.0.0.1'));
  expect(ipcache.get(parsePrefix('10.0.0.1/32'))!.identity).toBe(300);
  ipcache.deleteEndpoint(parsePrefix('10.0.0.1'), 'k8s');
  expect(ipcache.entries()).toEqual([]);
});

test('a listener that has ended hears nothing more', () => {
  const ipcache = new Ipcache();
  let heard = 0;
  const end = ipcache.subscribe({ onUpsert: () => heard++, onDelete: () => heard++ });
  ipcache.upsertPrefix(entry('10.0.0.0/8', 300));
  end();
  ipcache.deletePrefix(parsePrefix('10.0.0.0/8'));
  expect(heard).toBe(1);
});

const v4 = fc
  .tuple(fc.nat(15), fc.constantFrom(0, 1, 8, 24, 28, 30, 31, 32))
  .map(([last, length]) => parsePrefix(`10.0.0.${last}/${length}`));
const v6 = fc
  .tuple(fc.nat(15), fc.constantFrom(0, 7, 64, 124, 127, 128))
  .map(([last, length]) => parsePrefix(`fd00::${last.toString(16)}/${length}`));

test('a lookup finds what a scan of all entries finds: the longest prefix that holds the address', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(v4, v6)), (prefixes) => {
      const ipcache = new Ipcache();
      const model = new Map<string, IpcacheEntry>();
      prefixes.forEach((prefix, i) => {
        const now = { prefix, identity: 256 + i, source: 'k8s', hostIp: undefined, encryptKey: 0 } as const;
        ipcache.upsertPrefix(now);
        model.set(formatPrefix(prefix), now);
      });
      for (let last = 0; last < 16; last++) {
        for (const text of [`10.0.0.${last}`, `fd00::${last.toString(16)}`]) {
          const { family, address, length: bits } = parsePrefix(text);
          const holds = ({ prefix }: IpcacheEntry) =>
            prefix.family === family && (address ^ prefix.address) >> BigInt(bits - prefix.length) === 0n;
          const [longest] = [...model.values()].filter(holds).sort((a, b) => b.prefix.length - a.prefix.length);
          expect(ipcache.lookup(family, address)).toEqual(longest);
        }
      }
    }),
    { seed, numRuns: 200 },
  );
});
