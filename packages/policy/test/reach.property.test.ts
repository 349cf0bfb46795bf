import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PolicyConflictError } from '../src/conflict.ts';
import type { EndpointPolicy } from '../src/endpoint_policy.ts';
import { lookupMapState } from '../src/lookup.ts';
import { compareReach } from '../src/reach/compare.ts';
import { type PathVerdict, Reachability } from '../src/reach/reachability.ts';
import { REACH_PROTOCOLS, type Span } from '../src/reach/spans.ts';
import { SelectorCache } from '../src/selectorcache.ts';
import type { MapStateEntry } from '../src/types/entry.ts';
import { IDENTITIES, type ModelRule, modelRules, PEERS, rulesOf } from './model.ts';
import { resolve, SUBJECT } from './rules.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

function policyOf(model: readonly ModelRule[]): EndpointPolicy | undefined {
  try {
    return resolve(rulesOf(model), { cache: new SelectorCache(IDENTITIES) });
  } catch (error) {
    if (error instanceof PolicyConflictError) return undefined;
    throw error;
  }
}

const policy = modelRules.map(policyOf).filter((one) => one !== undefined);
const identity = fc.constantFrom(...PEERS.map((peer) => peer.identity));
/** Also the ports on both sides of what the generated rules name. */
const port = fc.oneof(
  fc.integer({ min: 0, max: 0xffff }),
  fc.constantFrom(0, 1, 63, 64, 79, 80, 81, 82, 95, 96, 127, 128),
);
const flow = fc
  .constantFrom(...REACH_PROTOCOLS)
  .chain(({ protocol, last }) => port.map((dport) => ({ protocol, dport: Math.min(dport, last) })));
type Asked = { protocol: number; dport: number };

const at = <T>(spans: readonly Span<T>[], { protocol, dport }: Asked): T[] =>
  spans
    .filter((span) => span.protocol === protocol && span.first <= dport && dport <= span.last)
    .map(({ value }) => value);

const wordOf = (entry: MapStateEntry | undefined): string =>
  entry === undefined ? 'drop' : entry.deny ? 'deny' : entry.redirect ? 'redirect' : 'allow';

/** What both policies say about one flow, looked up one by one. */
function lookedUp(from: Node, to: Node, asked: Asked): Pick<PathVerdict, 'verdict' | 'authType'> & { sides: string[] } {
  const entries = [
    from.policy && lookupMapState(from.policy.mapState, { egress: true, identity: to.identity, ...asked }),
    to.policy && lookupMapState(to.policy.mapState, { egress: false, identity: from.identity, ...asked }),
  ].filter((_, side) => (side === 0 ? from : to).policy !== undefined);
  const sides = entries.map(wordOf);
  const denied = sides.some((word) => word === 'deny' || word === 'drop');
  const authType = denied ? 0 : Math.max(0, ...entries.map((entry) => entry!.authType));
  const verdict = denied ? 'deny' : sides.includes('redirect') ? 'redirect' : 'allow';
  return { verdict, authType: authType as PathVerdict['authType'], sides };
}
type Node = { identity: number; policy: EndpointPolicy | undefined };

const subject = policy.map((one): Node => ({ identity: SUBJECT.identity, policy: one }));
const other = fc
  .tuple(identity, fc.option(policy, { nil: undefined }))
  .map(([number, one]): Node => ({ identity: number, policy: one }));

test('at any port, reachability says what lookups in both map states say', () => {
  fc.assert(
    fc.property(
      subject,
      other,
      fc.boolean(),
      fc.array(flow, { minLength: 10, maxLength: 30 }),
      (a, b, turned, flows) => {
        const [from, to] = turned ? [b, a] : [a, b];
        const spans = new Reachability().between(from, to);
        for (const asked of flows) {
          const [path, ...more] = at(spans, asked);
          expect(more).toEqual([]);
          const { verdict, authType, egress, ingress } = path!;
          const sides = [egress, ingress].flatMap((side) => (side === undefined ? [] : [side.verdict]));
          expect({ verdict, authType, sides }).toEqual(lookedUp(from, to, asked));
        }
      },
    ),
    { seed, numRuns: 300 },
  );
});

test('spans hold every port of every protocol once, and neighbours differ', () => {
  fc.assert(
    fc.property(subject, other, (from, to) => {
      const spans = new Reachability().between(from, to);
      for (const { protocol, last } of REACH_PROTOCOLS) {
        const own = spans.filter((span) => span.protocol === protocol);
        expect([own[0]!.first, own.at(-1)!.last]).toEqual([0, last]);
        for (const [index, span] of own.slice(1).entries()) {
          expect(span.first).toBe(own[index]!.last + 1);
          expect(span.value).not.toEqual(own[index]!.value);
        }
      }
    }),
    { seed, numRuns: 100 },
  );
});

test('a comparison names a port if and only if looking it up on both sides differs', () => {
  fc.assert(
    fc.property(
      subject,
      subject,
      other,
      other,
      fc.array(flow, { minLength: 20, maxLength: 30 }),
      (a, b, old, now, flows) => {
        const to = { identity: old.identity, policy: now.policy };
        const changes = compareReach(new Reachability().between(a, old), new Reachability().between(b, to));
        for (const asked of flows) {
          const [change] = at(changes, asked);
          const [before, after] = [lookedUp(a, old, asked), lookedUp(b, to, asked)];
          if (change !== undefined) {
            expect(change.before).toMatchObject({ verdict: before.verdict, authType: before.authType });
            expect(change.after).toMatchObject({ verdict: after.verdict, authType: after.authType });
            if (before.verdict === after.verdict && before.authType === after.authType)
              expect(after.verdict).toBe('redirect');
          } else expect([after.verdict, after.authType]).toEqual([before.verdict, before.authType]);
        }
      },
    ),
    { seed, numRuns: 150 },
  );
});
