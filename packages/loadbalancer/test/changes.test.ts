import { type LbMaps, MapError } from '@ciliate/maps';
import { expect, test } from 'vitest';
import { World } from './world.ts';
import { NODE, ready, service, slice, TWO } from './yaml.ts';

const ids = (world: World): string[] =>
  world.manager.entries.map(
    ({ name, revNatId, backends }) =>
      `${name}=${revNatId}: ${backends.map(({ id, port }) => `${port}=${id}`).join(' ')}`,
  );
const simple = (name: string, last: number, ...ports: number[]): string =>
  service(name, `clusterIP: 10.96.0.${last}, ports: [{port: 80}]`) +
  slice(name, ready('10.0.0.1'), ports.map((port) => `{name: p${port}, port: ${port}}`).join(', '));

test('numbers go up in the order of names; one backend of two services has one; what is free is taken last', () => {
  const world = new World().apply(simple('b', 2, 20, 30) + simple('a', 1, 10, 20));
  expect(ids(world)).toEqual(['a=1: 10=1 20=2', 'b=2: 20=2 30=3']);
  world.apply(simple('a', 1, 10));
  expect(ids(world)).toEqual(['a=1: 10=1', 'b=2: 20=2 30=3']);
  world.apply(simple('b', 2, 40));
  expect(ids(world)).toEqual(['a=1: 10=1', 'b=2: 40=4']);
  world.manager.deleteService('default', 'a');
  world.apply(simple('c', 3, 20, 10));
  expect(ids(world)).toEqual(['b=2: 40=4', 'c=3: 10=1 20=5']);
});

test('a slice that goes over to another service leaves the first, whose backend is new then, with a new number', () => {
  const world = new World().apply(simple('a', 1, 10) + service('b', 'clusterIP: 10.96.0.2, ports: [{port: 80}]'));
  world.apply(slice('b', ready('10.0.0.1'), '{port: 10}').replace('b-1', 'a-1'));
  expect(ids(world)).toEqual(['a=1: ', 'b=2: 10=2']);
});

/** The call with this number, counted from 1, of a method of the maps finds them full. */
function fullAt(call: number): (maps: LbMaps) => LbMaps {
  let calls = 0;
  return (maps) =>
    new Proxy(maps, {
      get: (target, name) => {
        const method = Reflect.get(target, name, target) as (...args: unknown[]) => unknown;
        return (...args: unknown[]) => {
          if (++calls === call) throw new MapError('E2BIG', 'full', {});
          method.apply(target, args);
        };
      },
    });
}

test('wherever writing stops, another try goes on, and what was begun can be deleted', () => {
  const yaml =
    service(
      'a',
      'type: LoadBalancer, clusterIP: 10.96.0.1, sessionAffinity: ClientIP, externalTrafficPolicy: Local, loadBalancerSourceRanges: [192.0.2.0/24], ports: [{port: 80, nodePort: 30080}]',
    ) + slice('a', TWO);
  const config = { ...NODE, algorithm: 'maglev' } as const;
  const want = new World(config).apply(yaml);
  const isStopped = (world: World): boolean => {
    try {
      world.apply(yaml);
      return false;
    } catch (error) {
      expect(error).toMatchObject({ code: 'E2BIG' });
      return true;
    }
  };
  let call = 1;
  for (; ; call++) {
    const [again, deleted] = [new World(config, fullAt(call)), new World(config, fullAt(call))];
    if (!isStopped(again)) break;
    isStopped(deleted);
    again.manager.reconcile();
    expect(again.frontends()).toEqual(want.frontends());
    expect(again.counts()).toEqual(want.counts());
    deleted.manager.deleteService('default', 'a');
    deleted.manager.reconcile();
    expect(Object.entries(deleted.counts()).filter(([, count]) => count > 0)).toEqual([]);
  }
  expect(call).toBeGreaterThan(30);
});

const claim = (name: string, last = 1): string => service(name, `clusterIP: 10.96.0.${last}, ports: [{port: 80}]`);

test('of two services that claim one frontend the second is refused with its place, and all else is written', () => {
  const world = new World();
  expect(() => world.apply(claim('a') + claim('b') + claim('c', 2))).toThrow(
    expect.objectContaining({
      code: 'BAD_INPUT',
      message: 'x.yaml:3:1: 10.96.0.1:80/TCP of Service default/b belongs to Service default/a already',
    }),
  );
  expect(ids(world)).toEqual(['a=1: ', 'c=2: ']);
});

test('who has an address keeps it until it lets go', () => {
  const world = new World().apply(claim('b'));
  const refused = '10.96.0.1:80/TCP of Service default/a belongs to Service default/b already';
  expect(() => world.apply(claim('a'))).toThrow(refused);
  expect(() => world.apply(claim('c', 2))).toThrow(refused);
  expect(ids(world)).toEqual(['b=1: ', 'c=2: ']);
  world.manager.deleteService('default', 'b');
  world.manager.reconcile();
  expect(ids(world)).toEqual(['a=1: ', 'c=2: ']);
});

test('who is refused keeps what it has, which nobody else gets', () => {
  const world = new World().apply(claim('a', 1) + claim('b', 2));
  expect(() => world.apply(claim('b', 1) + claim('c', 2))).toThrow('10.96.0.1:80/TCP of Service default/b');
  expect(ids(world)).toEqual(['a=1: ', 'b=2: ']);
  expect(world.apply(claim('a', 3)).frontends()).toHaveLength(3);
});

test('two services may exchange their addresses', () => {
  const world = new World().apply(claim('a', 1) + claim('b', 2));
  expect(ids(world.apply(claim('a', 2) + claim('b', 1)))).toEqual(['a=2: ', 'b=1: ']);
});
