import { ALLOW_ANY_EGRESS, ALLOW_ANY_INGRESS, ALLOW_LOCALHOST_INGRESS, type RuleOrigin } from './api/rule.ts';
import { ANY_IDENTITY, HOST_IDENTITY } from './identities.ts';
import {
  AUTH_RULES,
  DENY_RULES,
  type FilterPeer,
  type L4DirectionPolicy,
  type L4Filter,
  type L4Policy,
  REDIRECT_RULES,
} from './l4.ts';
import { entryParser } from './l7.ts';
import type { ChangeSet } from './map_changes.ts';
import { type Bucket, MapState } from './mapstate.ts';
import { type NamedPort, type NamedPorts, podPort } from './named_ports.ts';
import { portRangeToPrefixes } from './portrange.ts';
import { PROTOCOL_NUMBERS } from './protocols.ts';
import type { SelectorUpdate } from './selectorcache.ts';
import { type AuthType, allowValue, type MapStateValue, sameForDatapath } from './types/entry.ts';
import { prefixLength } from './types/key.ts';
import { Origins } from './types/origins.ts';

/** What a policy depends on besides the rules. */
export interface PolicyOwner {
  /** The endpoint's own named ports: what names in ingress rules mean. */
  readonly namedPorts: readonly NamedPort[];
  /** Those of all pods together: what names in egress rules mean. */
  readonly allNamedPorts: NamedPorts;
}

/** What becomes of an endpoint besides its rules. */
export interface Enforcement {
  readonly ingress: boolean;
  readonly egress: boolean;
  /** Is the node let in whatever the rules say? */
  readonly allowLocalhost: boolean;
}

/** Turn selectors into the entries of a policy map. Source: pkg/policy/resolve.go, DistillPolicy. */
export function distillPolicy(l4: L4Policy, enforcement: Enforcement, owner: PolicyOwner): MapState {
  const mapState = new MapState();
  const everything = (egress: boolean): Bucket => mapState.bucket(egress, 0, 0, 0);
  if (!enforcement.ingress) mapState.add(everything(false), ANY_IDENTITY, implicit(ALLOW_ANY_INGRESS));
  if (!enforcement.egress) mapState.add(everything(true), ANY_IDENTITY, implicit(ALLOW_ANY_EGRESS));
  for (const direction of [l4.ingress, l4.egress]) insertDirection(mapState, direction, owner);
  if (enforcement.allowLocalhost) {
    const features = DENY_RULES | REDIRECT_RULES | AUTH_RULES;
    mapState.insert(everything(false), HOST_IDENTITY, implicit(ALLOW_LOCALHOST_INGRESS), features);
  }
  return mapState;
}

const implicit = (origin: RuleOrigin): MapStateValue => allowValue(Origins.of([origin]));

/** One value for some identities at one place of the map. */
interface Insertion {
  readonly bucket: Bucket;
  readonly value: MapStateValue;
  readonly identities: readonly number[];
}

function insertDirection(mapState: MapState, { filters, features }: L4DirectionPolicy, owner: PolicyOwner): void {
  const insertions = filters.flatMap((filter) => insertionsOf(filter, mapState, owner));
  insertAll(mapState, insertions, features, undefined);
}

/**
 * Where rules ask for authentication the order makes a difference, and in Cilium it is left to chance. Here an allow
 * always finds the denies there already, and the broad ones of the allows, so that it inherits from the most specific.
 */
function insertAll(
  mapState: MapState,
  insertions: Insertion[],
  features: number,
  changes: ChangeSet | undefined,
): void {
  if ((features & AUTH_RULES) !== 0) insertions.sort((a, b) => rank(a) - rank(b));
  for (const { bucket, value, identities } of insertions) {
    for (const identity of identities) mapState.insert(bucket, identity, value, features, changes);
  }
}

const rank = ({ bucket, value }: Insertion): number => (value.deny ? 0 : 1) * 64 + prefixLength(bucket);

const EVERYBODY: readonly number[] = [ANY_IDENTITY];

/** Source: pkg/policy/l4.go, toMapState. */
function insertionsOf(filter: L4Filter, mapState: MapState, owner: PolicyOwner): Insertion[] {
  const port = portOf(filter, owner);
  if (port === undefined) return [];
  const buckets = bucketsOf(filter, port, mapState);
  const { wildcard } = filter;
  const insertions: Insertion[] = [];
  const forAll = wildcard && valueFor(filter, wildcard, port);
  if (forAll) for (const bucket of buckets) insertions.push({ bucket, value: forAll, identities: EVERYBODY });
  for (const peer of filter.peers.values()) {
    if (peer === wildcard) continue;
    const identities = peer.selector.selections();
    if (identities.length === 0) continue;
    const value = valueFor(filter, peer, port);
    // What everybody has already need not be said again for each identity; Cilium says it again where no port is given.
    if (forAll && port !== 0 && sameForDatapath(value, forAll)) continue;
    for (const bucket of buckets) insertions.push({ bucket, value, identities });
  }
  return insertions;
}

/**
 * Bring a map state up to date after identities came and went. Differs from a distillation of the whole policy: what
 * everybody has already is said again, and both directions' features count for each.
 * @param filtersOf the filters that a selector stands in
 * Source: pkg/policy/l4.go, AccumulateMapChanges, and mapstate.go, consumeMapChanges.
 */
export function applyUpdates(
  mapState: MapState,
  updates: readonly SelectorUpdate[],
  filtersOf: (selector: SelectorUpdate['selector']) => readonly L4Filter[],
  features: number,
  owner: PolicyOwner,
  changes: ChangeSet,
): void {
  const insertions: Insertion[] = [];
  for (const { selector, added, deleted } of updates) {
    if (selector.isWildcard) continue;
    for (const filter of filtersOf(selector)) {
      const port = portOf(filter, owner);
      if (port === undefined) continue;
      const value = valueFor(filter, filter.peers.get(selector)!, port);
      for (const bucket of bucketsOf(filter, port, mapState)) {
        for (const identity of deleted) mapState.remove(bucket, identity, changes);
        if (added.length > 0) insertions.push({ bucket, value, identities: added });
      }
    }
  }
  insertAll(mapState, insertions, features, changes);
}

/** @returns undefined for a name that means no port, or more than one */
export function portOf(
  { egress, port, portName, protocol }: Pick<L4Filter, 'egress' | 'port' | 'portName' | 'protocol'>,
  owner: PolicyOwner,
): number | undefined {
  if (portName === '') return port;
  const number = PROTOCOL_NUMBERS[protocol];
  return egress ? owner.allNamedPorts.get(portName, number) : podPort(owner.namedPorts, portName, number);
}

function bucketsOf({ egress, protocolNumber, endPort }: L4Filter, port: number, mapState: MapState): Bucket[] {
  return portRangeToPrefixes(port, endPort).map((prefix) =>
    mapState.bucket(egress, protocolNumber, prefix.port, prefix.prefixLen),
  );
}

const AUTH_TYPES = { disabled: 0, required: 1, 'test-always-fail': 2 } as const satisfies Record<string, AuthType>;

/** What a filter says to the peers of one selector. */
export function valueFor(filter: L4Filter, { policy, origins }: FilterPeer, port: number): MapStateValue {
  if (policy === null) return allowValue(origins);
  if (policy.deny) return { ...allowValue(origins), deny: true };
  const { parser, listener, authentication } = policy;
  return {
    deny: false,
    redirect:
      parser === ''
        ? undefined
        : {
            id: redirectId(filter, port, listener),
            parser: entryParser(parser),
            listener,
            priority: 128 - Math.min(policy.priority || 127, 126),
          },
    authType: authentication === undefined ? 0 : AUTH_TYPES[authentication],
    authExplicit: authentication !== undefined,
    origins,
  };
}

/** Source: pkg/policy/proxyid.go. */
export const redirectId = ({ egress, protocol }: L4Filter, port: number, listener: string): string =>
  `${egress ? 'egress' : 'ingress'}:${protocol}:${port}:${listener}`;
