import type { RuleOrigin } from '../api/rule.ts';
import type { EndpointPolicy } from '../endpoint_policy.ts';
import { formatOrigin } from '../explain/words.ts';
import { ANY_IDENTITY } from '../identities.ts';
import { lookupMapState } from '../lookup.ts';
import type { AuthType, EntryParser, MapStateEntry, MapStateValue } from '../types/entry.ts';
import type { MapStateKey } from '../types/key.ts';
import { l7Texts } from './l7_text.ts';
import { type Span, spansOf } from './spans.ts';

/** What one endpoint's policy says to a peer in one direction. */
export interface SideVerdict {
  /** `deny`: a rule denies it; `drop`: no rule allows it. */
  readonly verdict: 'allow' | 'redirect' | 'deny' | 'drop';
  readonly parser: EntryParser | undefined;
  readonly listener: string;
  /** Only with `redirect`: what the proxy lets through, in words; none: everything. */
  readonly l7: readonly string[];
  readonly authType: AuthType;
  /** The rules that say so. */
  readonly origins: readonly RuleOrigin[];
}

/** The entries of one identity. */
interface OwnEntries {
  readonly keys: MapStateKey[];
  /** Ports and what becomes of them, one text for each key. */
  readonly says: string[];
  redirects: boolean;
}
const NO_ENTRIES: OwnEntries = { keys: [], says: [], redirects: false };

/** One direction of an endpoint's policy, for all peers and ports. It must not be changed meanwhile. */
export class SideReach {
  readonly #policy: EndpointPolicy;
  readonly #egress: boolean;
  readonly #entries = new Map<number, OwnEntries>();
  readonly #spans = new Map<number, readonly Span<SideVerdict>[]>();
  /** The same lists by the entries that they come from, and by what they say. */
  readonly #byEntries = new Map<string, readonly Span<SideVerdict>[]>();
  readonly #lists = new Map<string, readonly Span<SideVerdict>[]>();
  readonly #verdicts = new Map<string, SideVerdict>();

  constructor(policy: EndpointPolicy, egress: boolean) {
    this.#policy = policy;
    this.#egress = egress;
    const values = new Map<MapStateValue, number>();
    for (const { key, redirect } of policy.mapState) {
      if (key.egress !== egress) continue;
      const { identity, protocol, dport, portPrefixLen } = key;
      const value = policy.mapState.valueAt(egress, identity, protocol, dport, portPrefixLen)!;
      const number = values.get(value) ?? values.size;
      values.set(value, number);
      const own = this.#entries.get(identity) ?? { keys: [], says: [], redirects: false };
      own.keys.push(key);
      own.says.push(`${protocol} ${dport}/${portPrefixLen} ${number}`);
      own.redirects ||= redirect;
      this.#entries.set(identity, own);
    }
  }

  /** Exact for all ports: the answer can only change where an entry begins or ends. Equal lists are the same one. */
  spans(identity: number): readonly Span<SideVerdict>[] {
    let spans = this.#spans.get(identity);
    if (spans === undefined) {
      spans = this.#alike(identity);
      this.#spans.set(identity, spans);
    }
    return spans;
  }

  /** Peers with equal entries get equal answers, unless the proxy tells them apart. */
  #alike(identity: number): readonly Span<SideVerdict>[] {
    const own = this.#entries.get(identity) ?? NO_ENTRIES;
    const everybody = this.#entries.get(ANY_IDENTITY) ?? NO_ENTRIES;
    const keys = [...own.keys, ...everybody.keys];
    if (own.redirects || everybody.redirects) return this.#same(this.#partition(identity, keys));
    const says = own.says.join();
    let spans = this.#byEntries.get(says);
    if (spans === undefined) {
      spans = this.#same(this.#partition(identity, keys));
      this.#byEntries.set(says, spans);
    }
    return spans;
  }

  #partition(identity: number, keys: readonly MapStateKey[]): Span<SideVerdict>[] {
    const cutsOf = (protocol: number): number[] =>
      keys
        .filter((key) => key.protocol === protocol)
        .flatMap(({ dport, portPrefixLen }) => [dport, dport + 2 ** (16 - portPrefixLen)]);
    return spansOf(cutsOf, (protocol, dport) => {
      const entry = lookupMapState(this.#policy.mapState, { egress: this.#egress, identity, protocol, dport });
      return this.#verdictOf(entry, identity);
    });
  }

  #same(spans: readonly Span<SideVerdict>[]): readonly Span<SideVerdict>[] {
    const numbers = new Map([...this.#verdicts.values()].map((verdict, index) => [verdict, index]));
    const id = spans.map(({ protocol, first, value }) => `${protocol} ${first} ${numbers.get(value)}`).join();
    const known = this.#lists.get(id);
    if (known === undefined) this.#lists.set(id, spans);
    return known ?? spans;
  }

  #verdictOf(entry: MapStateEntry | undefined, identity: number): SideVerdict {
    if (entry === undefined) return DROP;
    const { deny, redirect, parser, listener, authType } = entry;
    const verdict: SideVerdict = {
      verdict: deny ? 'deny' : redirect ? 'redirect' : 'allow',
      parser,
      listener,
      l7: redirect ? l7Texts(this.#policy, entry, identity) : [],
      authType: deny ? 0 : authType,
      origins: entry.origins.filter(({ list }) => list.endsWith('Deny') === deny),
    };
    const id = JSON.stringify({ ...verdict, origins: verdict.origins.map(formatOrigin) });
    const known = this.#verdicts.get(id);
    if (known !== undefined) return known;
    this.#verdicts.set(id, verdict);
    return verdict;
  }
}

const DROP: SideVerdict = { verdict: 'drop', parser: undefined, listener: '', l7: [], authType: 0, origins: [] };
