import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PolicyConflictError } from '../src/conflict.ts';
import type { EndpointPolicy } from '../src/endpoint_policy.ts';
import { lookupMapState } from '../src/lookup.ts';
import { SelectorCache } from '../src/selectorcache.ts';
import type { MapStateEntry } from '../src/types/entry.ts';
import { formatKey } from '../src/types/key.ts';
import {
  evaluate,
  FLOWS,
  type Flow,
  IDENTITIES,
  type ModelPeer,
  type ModelRule,
  modelRule,
  modelRules,
  rulesOf,
} from './model.ts';
import { inWords, type RuleSpec, resolve } from './rules.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const cache = (): SelectorCache => new SelectorCache(IDENTITIES);

/** undefined: the rules contradict each other, which these laws are not about. */
function resolveModel(model: readonly ModelRule[], selectorCache = cache()): EndpointPolicy | undefined {
  return resolveSpecs(rulesOf(model), selectorCache);
}
function resolveSpecs(specs: readonly RuleSpec[], selectorCache = cache()): EndpointPolicy | undefined {
  try {
    return resolve(specs, { cache: selectorCache });
  } catch (error) {
    if (error instanceof PolicyConflictError) return undefined;
    throw error;
  }
}

const wordOf = ({ mapState }: EndpointPolicy, flow: Flow): string => {
  const entry = lookupMapState(mapState, flow);
  if (entry === undefined) return 'drop';
  if (entry.deny) return 'deny';
  return entry.redirect ? `redirect ${entry.proxyPortPriority}` : 'allow';
};
const words = (policy: EndpointPolicy, flows = FLOWS): string[] => flows.map((flow) => wordOf(policy, flow));
const isLetThrough = (word: string): boolean => word === 'allow' || word.startsWith('redirect');

test('a lookup in the map state says what the rules say about the flow', () => {
  fc.assert(
    fc.property(modelRules, (model) => {
      const policy = resolveModel(model);
      fc.pre(policy !== undefined);
      expect(words(policy)).toEqual(FLOWS.map((flow) => evaluate(model, flow)));
    }),
    { seed, numRuns: 400 },
  );
});

test('the model is not blind: the generated rules drop, deny, allow and redirect', () => {
  const policies = fc.sample(modelRules, { seed, numRuns: 150 }).map((model) => resolveModel(model));
  const computed = policies.filter((policy) => policy !== undefined);
  expect(computed.length).toBeGreaterThan(100);
  const seen = new Set(computed.flatMap((policy) => words(policy)));
  expect([...seen].sort()).toEqual(['allow', 'deny', 'drop', 'redirect 127', 'redirect 27', 'redirect 78']);
});

const textOf = (entry: MapStateEntry): string =>
  `${inWords(entry)} ${entry.listener} ${entry.authType} ${entry.authExplicit}`;
const entriesOf = ({ mapState }: EndpointPolicy): Map<string, string> =>
  new Map([...mapState].map((entry) => [formatKey(entry.key), textOf(entry)]));

/** The same rules in another order, and in each rule its entries. */
const shuffled = (specs: readonly RuleSpec[], random: () => number): RuleSpec[] => {
  const shuffle = <T>(list: readonly T[]): T[] =>
    list
      .map((one) => [random(), one] as const)
      .sort(([a], [b]) => a - b)
      .map(([, one]) => one);
  return shuffle(specs).map((spec) => ({
    ...spec,
    ingress: shuffle(spec.ingress ?? []),
    ingressDeny: shuffle(spec.ingressDeny ?? []),
    egress: shuffle(spec.egress ?? []),
    egressDeny: shuffle(spec.egressDeny ?? []),
  }));
};

/** In 0..1, each as likely: of `fc.double`, most are next to 0. */
const part = fc.nat(1_000_000).map((n) => n / 1_000_001);

test('the order of policies and of rules changes no entry', () => {
  fc.assert(
    fc.property(modelRules, fc.infiniteStream(part), (model, numbers) => {
      const policy = resolveModel(model);
      fc.pre(policy !== undefined);
      const other = resolveSpecs(shuffled(rulesOf(model), () => numbers.next().value!));
      fc.pre(other !== undefined); // a deny hides a contradiction only between what comes after it, in Cilium too
      expect([...entriesOf(other)].sort()).toEqual([...entriesOf(policy)].sort());
    }),
    { seed, numRuns: 200 },
  );
});

const defaultDenyOf = (direction: 'ingress' | 'egress'): ModelRule => ({
  selected: true,
  defaultDeny: true,
  lists: {
    ingress: [],
    ingressDeny: [],
    egress: [],
    egressDeny: [],
    [direction]: [{ peers: undefined, requires: undefined, ports: [], authentication: undefined }],
  },
});
const inDefaultDeny = [defaultDenyOf('ingress'), defaultDenyOf('egress')];
const plain = (peer: ModelPeer): ModelPeer => ({
  ...peer,
  requires: undefined,
  ports: peer.ports.map((port) => ({ ...port, l7: undefined })),
});

test('for an endpoint in default deny, one more plain allow takes nothing away', () => {
  fc.assert(
    fc.property(modelRules, modelRule, (model, { lists, defaultDeny }) => {
      const more = {
        ingress: lists.ingress.map(plain),
        egress: lists.egress.map(plain),
        ingressDeny: [],
        egressDeny: [],
      };
      const before = resolveModel([...inDefaultDeny, ...model]);
      const after = resolveModel([...inDefaultDeny, ...model, { selected: true, defaultDeny, lists: more }]);
      fc.pre(before !== undefined && after !== undefined);
      const now = words(after);
      for (const [index, word] of words(before).entries())
        if (isLetThrough(word)) expect(isLetThrough(now[index]!)).toBe(true);
    }),
    { seed, numRuns: 200 },
  );
});

test('a deny beats whatever allows', () => {
  fc.assert(
    fc.property(modelRules, modelRule, (model, { lists }) => {
      const denying: ModelRule = { selected: true, defaultDeny: false, lists: { ...lists, ingress: [], egress: [] } };
      const alone = resolveModel([denying])!;
      const together = resolveModel([...model, denying]);
      fc.pre(together !== undefined);
      for (const flow of FLOWS) if (wordOf(alone, flow) === 'deny') expect(wordOf(together, flow)).toBe('deny');
    }),
    { seed, numRuns: 200 },
  );
});

test('a range of ports in two parts says the same', () => {
  const split = (peer: ModelPeer, at: number): ModelPeer => ({
    ...peer,
    ports: peer.ports.flatMap((port) => {
      const isRange = port.first < port.last && at >= port.first && at < port.last;
      return isRange
        ? [
            { ...port, last: at || -1 },
            { ...port, first: at + 1 },
          ]
        : [port];
    }),
  });
  fc.assert(
    // Not after port 0: it alone cannot be said, for as a port it is every port.
    fc.property(modelRules, fc.constantFrom(79, 80, 81, 90, 1000), (model, at) => {
      const parts = model.map((one) => ({
        ...one,
        lists: Object.fromEntries(
          Object.entries(one.lists).map(([list, peers]) => [list, peers.map((peer) => split(peer, at))]),
        ),
      })) as unknown as ModelRule[];
      const [whole, split2] = [resolveModel(model), resolveModel(parts)];
      fc.pre(whole !== undefined && split2 !== undefined);
      expect(words(split2)).toEqual(words(whole));
    }),
    { seed, numRuns: 200 },
  );
});

/** One identity comes, goes (which the node's never does), or gets other labels (which the node's can). */
const change = fc.tuple(fc.integer({ min: 0, max: IDENTITIES.length - 1 }), fc.constantFrom('come', 'go', 'relabel'));

/**
 * The keys of each direction and identity that ask for authentication themselves, or deny. Of several, Cilium takes the first
 * narrow one to stand between a broad one that comes and all other narrow keys: what these inherit depends on which came first
 * (pkg/policy/mapstate.go, authPreferredInsert).
 */
class Standing {
  readonly #keys = new Map<string, Set<string>>();

  note({ mapState }: EndpointPolicy): void {
    for (const { key, deny, authExplicit } of mapState) {
      if (!deny && !authExplicit) continue;
      const place = `${key.egress} ${key.identity}`;
      this.#keys.set(place, (this.#keys.get(place) ?? new Set()).add(formatKey(key)));
    }
  }

  /** @returns without what was inherited, where that depends on the order */
  wordOf({ mapState }: EndpointPolicy, flow: Flow): string {
    const word = inWords(lookupMapState(mapState, flow));
    const isOrdered = [flow.identity, 0].some((one) => (this.#keys.get(`${flow.egress} ${one}`)?.size ?? 0) > 1);
    return isOrdered ? word.replace(/ auth \d+ derived$/, '') : word;
  }
}

test('identity by identity says the same as from scratch, and tells what it changed', () => {
  const rounds = fc.array(fc.array(change, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(modelRules, rounds, (model, list) => {
      const known = new Map(IDENTITIES);
      const selectors = cache();
      const policy = resolveModel(model, selectors);
      fc.pre(policy !== undefined);
      const standing = new Standing();
      standing.note(policy);
      for (const round of list) {
        const [added, deleted] = [new Map<number, (typeof IDENTITIES)[0][1]>(), new Set<number>()];
        for (const [index, what] of round) {
          const [identity, labels] = IDENTITIES[index]!;
          if (added.has(identity) || deleted.has(identity) || (identity === 1 && what === 'go')) continue;
          if (what === 'go') deleted.add(identity);
          else added.set(identity, what === 'come' ? labels : IDENTITIES[(index + 1) % IDENTITIES.length]![1]);
        }
        for (const identity of deleted) known.delete(identity);
        for (const [identity, labels] of added) known.set(identity, labels);
        const before = entriesOf(policy);
        const { adds, deletes } = policy.update(selectors.updateIdentities(added, deleted));
        const now = entriesOf(policy);
        const different = [...now].filter(([key, word]) => before.get(key) !== word).map(([key]) => key);
        expect(adds.map(formatKey).sort()).toEqual(different.sort());
        expect(deletes.map(formatKey).sort()).toEqual([...before.keys()].filter((key) => !now.has(key)).sort());
        const fresh = resolveModel(model, new SelectorCache(known))!;
        const flows = FLOWS.filter(({ identity }) => known.has(identity));
        for (const one of [policy, fresh]) standing.note(one);
        const full = (one: EndpointPolicy) => flows.map((flow) => standing.wordOf(one, flow));
        expect(full(policy)).toEqual(full(fresh));
      }
    }),
    { seed, numRuns: 200 },
  );
});
