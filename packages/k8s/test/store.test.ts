import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeObjects, type K8sObject, type Kind, ObjectStore, type WatchEvent } from '../src/index.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

function make(kind: 'Pod' | 'Namespace', name: string, version: number): K8sObject {
  const status = kind === 'Pod' ? 'status: {podIP: 10.0.0.1}' : '';
  const [object] = decodeObjects(
    `apiVersion: v1\nkind: ${kind}\nmetadata: {name: ${name}, labels: {v: v${version}}}\n${status}`,
    'x.yaml',
  );
  if (object === undefined) throw new Error('nothing decoded');
  return object;
}
const refOf = ({ kind, metadata: { namespace, name } }: K8sObject) => ({ kind, namespace, name });
const short = (event: WatchEvent): string =>
  `${event.resourceVersion} ${event.type} ${event.object.kind}/${event.object.metadata.name}`;

test('a watcher is told what is there, then every change of its kinds', () => {
  const store = new ObjectStore();
  store.apply(make('Pod', 'a', 1));
  store.apply(make('Namespace', 'shop', 1));
  const seen: string[] = [];
  const stop = store.watch(['Pod'], (event) => seen.push(short(event)));
  expect(store.apply(make('Pod', 'a', 2))).toBe('modified');
  expect(store.apply(make('Pod', 'a', 2))).toBe('unchanged');
  expect(store.apply(make('Namespace', 'lab', 1))).toBe('added');
  expect(store.delete({ kind: 'Pod', namespace: 'default', name: 'a' })).toBe(true);
  expect(store.delete({ kind: 'Pod', namespace: 'default', name: 'a' })).toBe(false);
  stop();
  store.apply(make('Pod', 'b', 1));
  expect(seen).toEqual(['2 added Pod/a', '3 modified Pod/a', '5 deleted Pod/a']);
  expect(store.resourceVersion).toBe(6);
});

test('a modified object comes with the old one, a deleted one as it was', () => {
  const store = new ObjectStore();
  const events: WatchEvent[] = [];
  store.watch(['Pod'], (event) => events.push(event));
  const [first, second] = [make('Pod', 'a', 1), make('Pod', 'a', 2)];
  store.apply(first);
  store.apply(second);
  store.delete(refOf(second));
  expect(events.map((event) => [event.type, event.object, event.type === 'modified' ? event.old : undefined])).toEqual([
    ['added', first, undefined],
    ['modified', second, first],
    ['deleted', second, undefined],
  ]);
});

test('a change made by a handler is told after the one that caused it, to everybody in one order', () => {
  const store = new ObjectStore();
  const seen: Record<string, string[]> = { first: [], second: [], late: [] };
  store.watch(['Pod'], (event) => {
    if (event.type === 'added' && event.object.metadata.name === 'a') {
      store.apply(make('Pod', 'b', 1));
      store.watch(['Pod'], (later) => seen.late?.push(short(later)));
    }
    seen.first?.push(short(event));
  });
  store.watch(['Pod'], (event) => seen.second?.push(short(event)));
  store.apply(make('Pod', 'a', 1));
  expect(seen).toEqual({
    first: ['1 added Pod/a', '2 added Pod/b'],
    second: ['1 added Pod/a', '2 added Pod/b'],
    late: ['2 added Pod/a', '2 added Pod/b'],
  });
});

const kind = fc.constantFrom('Pod' as const, 'Namespace' as const);
const name = fc.constantFrom('a', 'b', 'c');
const step = fc.record({ op: fc.constantFrom('apply', 'apply', 'delete', 'watch'), kind, name, version: fc.nat(2) });

test('the store answers as a Map would, and watchers can rebuild it whenever they start', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const store = new ObjectStore();
      const model = new Map<string, K8sObject>();
      const rebuilt: Map<string, K8sObject>[] = [];
      let changes = 0;
      for (const { op, kind, name, version } of steps) {
        const object = make(kind, name, version);
        const key = `${kind}/${name}`;
        const old = model.get(key);
        if (op === 'watch') {
          const copy = new Map<string, K8sObject>();
          rebuilt.push(copy);
          store.watch(['Pod', 'Namespace'], (event) => {
            const at = `${event.object.kind}/${event.object.metadata.name}`;
            expect(copy.has(at)).toBe(event.type !== 'added');
            if (event.type === 'deleted') copy.delete(at);
            else copy.set(at, event.object);
          });
        } else if (op === 'delete') {
          expect(store.delete(refOf(object))).toBe(model.delete(key));
          if (old !== undefined) changes++;
        } else {
          const same = JSON.stringify(old) === JSON.stringify(object);
          expect(store.apply(object)).toBe(old === undefined ? 'added' : same ? 'unchanged' : 'modified');
          if (!same) changes++;
          model.set(key, object);
        }
        expect(store.get(refOf(object))).toEqual(model.get(key));
        expect(store.resourceVersion).toBe(changes);
      }
      const listed = (['Pod', 'Namespace'] as Kind[]).flatMap((each) => store.list(each));
      expect(new Set(listed)).toEqual(new Set(model.values()));
      for (const copy of rebuilt) expect(copy).toEqual(model);
    }),
    { seed, numRuns: 200 },
  );
});
