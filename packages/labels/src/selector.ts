import { type CidrPrefix, parseCidrKey } from './cidr.ts';
import { ciliumKey, compareBytes, extendedKey, type Label, parseExtendedKey } from './label.ts';
import type { Labels } from './labels.ts';

/** A selector as Kubernetes objects write it. An operator other than the four below makes it match nothing. */
export interface SelectorSource {
  readonly matchLabels: Readonly<Record<string, string>>;
  readonly matchExpressions: readonly SelectorExpression[];
}
export interface SelectorExpression {
  readonly key: string;
  /** `In`, `NotIn`, `Exists` or `DoesNotExist`. */
  readonly operator: string;
  readonly values: readonly string[];
}

interface Requirement {
  readonly source: string;
  readonly key: string;
  /** Of source `cidr`: also a label of a block within this one will do. */
  readonly prefix: CidrPrefix | undefined;
  /** Must the label be there (true), be absent (false), or does a missing label do too (undefined)? */
  readonly present: boolean | undefined;
  readonly values: ReadonlySet<string> | undefined;
  /** Must the value be one of `values` (true) or none of them (false)? */
  readonly within: boolean;
}

/**
 * A compiled selector over labels with sources. Keys are kept in extended form (`k8s.app`; `any.app` matches a label
 * `app` of every source); all requirements must hold. Immutable.
 * A requirement of source `cidr` is met by any block within. Source: pkg/policy/api/selector.go, pkg/labels/labels.go.
 */
export class EndpointSelector {
  /** Selects everything, also what has no labels at all. */
  static readonly wildcard: EndpointSelector = new EndpointSelector(new Map(), []);

  readonly matchLabels: ReadonlyMap<string, string>;
  readonly matchExpressions: readonly SelectorExpression[];
  /**
   * Canonical text: equal for equal selectors (order of expressions and of their values counts, as in Cilium), in the
   * JSON form that Cilium prints.
   */
  readonly key: string;
  /** undefined: some requirement is malformed and the selector matches nothing. */
  readonly #requirements: readonly Requirement[] | undefined;

  private constructor(matchLabels: ReadonlyMap<string, string>, matchExpressions: readonly SelectorExpression[]) {
    this.matchLabels = new Map([...matchLabels].sort(([a], [b]) => compareBytes(a, b)));
    this.matchExpressions = matchExpressions;
    this.key = canonicalText(this.matchLabels, matchExpressions);
    this.#requirements = compile(this.matchLabels, matchExpressions);
  }

  /** A selector of a Cilium policy: keys may name a source (`k8s:app`, `reserved:host`); without one, any source does. */
  static parse(selector: SelectorSource): EndpointSelector {
    return EndpointSelector.#from([selector], extendedKey);
  }

  /** Selectors of plain Kubernetes keys, joined: every key is of the given source. */
  static ofSource(source: string, ...selectors: readonly SelectorSource[]): EndpointSelector {
    return EndpointSelector.#from(selectors, (key) => `${source}.${key}`);
  }

  /** Selects what carries all of these labels. */
  static ofLabels(...labels: readonly Label[]): EndpointSelector {
    return new EndpointSelector(new Map(labels.map(({ source, key, value }) => [`${source}.${key}`, value])), []);
  }

  static #from(selectors: readonly SelectorSource[], toExtended: (key: string) => string): EndpointSelector {
    const matchLabels = new Map<string, string>();
    const expressions: SelectorExpression[] = [];
    for (const selector of selectors) {
      for (const [key, value] of Object.entries(selector.matchLabels)) matchLabels.set(toExtended(key), value);
      for (const { key, operator, values } of selector.matchExpressions) {
        expressions.push({ key: toExtended(key), operator, values });
      }
    }
    return new EndpointSelector(matchLabels, expressions);
  }

  get isWildcard(): boolean {
    return this.matchLabels.size + this.matchExpressions.length === 0;
  }

  /** Does any requirement name this extended key? */
  hasKey(extended: string): boolean {
    return this.#someKey((key) => key === extended);
  }

  /** Does any requirement name an extended key that starts so? */
  hasKeyPrefix(prefix: string): boolean {
    return this.#someKey((key) => key.startsWith(prefix));
  }

  /** This selector with one more required label (or another value for it); `extended` is `source.key`. */
  withMatch(extended: string, value: string): EndpointSelector {
    return new EndpointSelector(new Map(this.matchLabels).set(extended, value), this.matchExpressions);
  }

  matches(labels: Labels): boolean {
    return this.#requirements?.every((requirement) => holds(requirement, labels)) ?? false;
  }

  toString(): string {
    return this.key;
  }

  #someKey(test: (key: string) => boolean): boolean {
    return [...this.matchLabels.keys()].some(test) || this.matchExpressions.some(({ key }) => test(key));
  }
}

function holds(requirement: Requirement, labels: Labels): boolean {
  const { source, key, prefix, present, values, within } = requirement;
  const exact = labels.has(source, key) ? labels.get(key) : undefined;
  const label = exact ?? (prefix === undefined ? undefined : labels.within(prefix));
  if (label === undefined) return present !== true;
  if (present === false) return false;
  return values === undefined || values.has(label.value) === within;
}

function compile(
  matchLabels: ReadonlyMap<string, string>,
  expressions: readonly SelectorExpression[],
): readonly Requirement[] | undefined {
  const requirements: Requirement[] = [];
  for (const [key, value] of matchLabels) {
    requirements.push({ ...keyOf(key), present: true, values: new Set([value]), within: true });
  }
  for (const { key, operator, values } of expressions) {
    const wantsValues = operator === 'In' || operator === 'NotIn';
    if (!wantsValues && operator !== 'Exists' && operator !== 'DoesNotExist') return undefined;
    if (wantsValues !== values.length > 0) return undefined;
    requirements.push({
      ...keyOf(key),
      present: operator === 'NotIn' ? undefined : operator !== 'DoesNotExist',
      values: wantsValues ? new Set(values) : undefined,
      within: operator === 'In',
    });
  }
  return requirements;
}

function keyOf(extended: string): Pick<Requirement, 'source' | 'key' | 'prefix'> {
  const { source, key } = parseExtendedKey(extended);
  return { source, key, prefix: source === 'cidr' ? parseCidrKey(key) : undefined };
}

function canonicalText(matchLabels: ReadonlyMap<string, string>, expressions: readonly SelectorExpression[]): string {
  const labels = [...matchLabels].map(([key, value]) => [ciliumKey(key), value]);
  return JSON.stringify({
    ...(labels.length > 0 && { matchLabels: Object.fromEntries(labels) }),
    ...(expressions.length > 0 && {
      matchExpressions: expressions.map(({ key, operator, values }) => ({
        key: ciliumKey(key),
        operator,
        ...(values.length > 0 && { values }),
      })),
    }),
  });
}
