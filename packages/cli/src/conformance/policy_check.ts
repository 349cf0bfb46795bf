import { isObject } from './fields.ts';
import { publishedL7 } from './l7_answer.ts';
import {
  answerCase,
  compareKeys,
  type FlowAnswer,
  type KeyAnswer,
  type PolicyAnswer,
  type Refusal,
} from './policy_answer.ts';
import { readCase } from './policy_case.ts';
import type { Tally } from './tally.ts';

type Published = Readonly<Record<string, unknown>>;

/** Fields of verdicts and entries that may be absent, and what that means. */
const DEFAULTS: Published = { l7parser: '', listener: '', proxyPortPriority: 0, authType: 0, authExplicit: false };
const ENTRY_DEFAULTS: Published = { deny: false, redirect: false, ...DEFAULTS };
const ENTRY: Published = { direction: '', identity: 0, protocol: 0, dport: 0, portPrefixLen: 0, ...ENTRY_DEFAULTS };

/**
 * Ask the engine what a case asks and compare. Counted: each side of each flow, each `final`; of each endpoint its map
 * state, L7 filters, `policyEnabled` and identity; the set of endpoints that conflict, if the case names it; each
 * endpoint at each step. A field that should be there and is not is a disagreement. A policy that the engine does not
 * take in is an answer, too: nothing of the case agrees.
 *
 * @param where `file:line`
 * @throws InputError for a case that cannot be asked
 */
export function checkCase(value: unknown, where: string, tally: Tally): void {
  const input = readCase(value, where);
  const answer = answerCase(input, where);
  const check = new CaseCheck(value as Published, `${where}: ${input.name}`, answer, tally);
  tally.case();
  check.identities(input.endpoints.map(({ name }) => name));
  check.conflicts();
  if (check.isComparable) {
    check.endpoints(input.endpoints.filter(({ local }) => local).map(({ name }) => name));
    check.flows(input.flows.map(({ src, dst }) => `${src} to ${dst}`));
    check.steps();
  }
}

class CaseCheck {
  readonly #published: Published;
  readonly #place: string;
  readonly #answer: PolicyAnswer | Refusal;
  readonly #tally: Tally;
  /** false: the real engine's map was not the same in all runs; only verdicts are. */
  readonly #stable: boolean;

  constructor(published: Published, place: string, answer: PolicyAnswer | Refusal, tally: Tally) {
    this.#published = published;
    this.#place = place;
    this.#answer = answer;
    this.#tally = tally;
    this.#stable = published.mapstateStable !== false;
  }

  /** Of a case that is not stable and has no flows nothing else can be compared. */
  get isComparable(): boolean {
    return this.#stable || !isObject(this.#published.policyErrors);
  }

  identities(names: readonly string[]): void {
    const published = Array.isArray(this.#published.endpoints) ? this.#published.endpoints : [];
    for (const [i, name] of names.entries()) {
      const { identity, identityLabels } = published[i];
      const theirs = identity === undefined || identityLabels === undefined ? undefined : { identity, identityLabels };
      this.#check('identity labels', name, (answer) => answer.identities.get(name), theirs);
    }
    for (const kind of ['cidrIdentities', 'fqdnIdentities'] as const)
      this.#tally.checkAlso(
        kind,
        this.#place,
        this.#ours((answer) => answer[kind]),
        this.#published[kind],
      );
  }

  conflicts(): void {
    const { policyErrors } = this.#published;
    const theirs =
      policyErrors === undefined ? [] : isObject(policyErrors) ? Object.keys(policyErrors).sort() : undefined;
    const ours = (answer: PolicyAnswer): string[] => [...answer.conflicts.keys()].sort();
    if (policyErrors !== undefined) this.#check('conflicts', '', ours, theirs);
    else this.#tally.checkAlso('conflicts', this.#place, this.#ours(ours), theirs);
  }

  endpoints(local: readonly string[]): void {
    const failed = isObject(this.#published.policyErrors) ? this.#published.policyErrors : {};
    for (const name of local.filter((one) => !Object.hasOwn(failed, one))) {
      const of = (answer: PolicyAnswer) => answer.endpoints.get(name);
      if (this.#stable)
        this.#check('map state', name, (answer) => of(answer)?.mapstate, entries(this.#of('mapstate', name)));
      if (this.#published.l7 !== null)
        this.#check('l7', name, (answer) => of(answer)?.l7, publishedL7(this.#of('l7', name)));
      this.#check('policyEnabled', name, (answer) => of(answer)?.policyEnabled, this.#of('policyEnabled', name));
    }
  }

  flows(names: readonly string[]): void {
    const flows = this.#published.flows as readonly Published[];
    for (const [i, name] of names.entries()) {
      const published = flows[i]!;
      const place = `flows[${i}], ${name}`;
      for (const side of ['egress', 'ingress'] as const) this.#side(side, i, place, published);
      this.#check('final', place, (answer) => answer.flows[i]!.final, published.final);
    }
  }

  steps(): void {
    if (!Array.isArray(this.#published.steps) || !this.#stable) return;
    const endpoints = isObject(this.#published.mapstate) ? Object.keys(this.#published.mapstate) : [];
    for (const [i, step] of (this.#published.steps as readonly Published[]).entries()) {
      const names = new Set([...endpoints, ...('refused' in this.#answer ? [] : this.#answer.steps[i]!.keys())]);
      for (const name of names) {
        const theirs = stepOf(member(step.changes, name), entries(member(step.mapstate, name)));
        this.#check('step', `steps[${i}], ${name}`, (answer) => answer.steps[i]!.get(name), theirs);
      }
    }
  }

  /** One side of a flow with all that decides it: who the two are, and what is done about it. */
  #side(side: 'egress' | 'ingress', i: number, place: string, published: Published): void {
    const ours = this.#ours((answer) => sideOf(answer.flows[i]!, side));
    const { srcIdentity, dstIdentity, [side]: verdict } = published;
    if (ours === null && verdict === null) return;
    let theirs: unknown = verdict;
    if (isObject(verdict) && srcIdentity !== undefined && dstIdentity !== undefined) {
      const matchedKey = this.#stable || verdict.matchedKey !== null ? verdict.matchedKey : keyOf(ours);
      theirs = inOrderOf(ours, { srcIdentity, dstIdentity, ...DEFAULTS, ...verdict, matchedKey });
    } else if (verdict !== null) theirs = undefined;
    this.#check(side, place, () => ours, theirs);
  }

  #of(field: string, name: string): unknown {
    return member(this.#published[field], name);
  }

  #check(kind: string, place: string, ours: (answer: PolicyAnswer) => unknown, theirs: unknown): void {
    this.#tally.check(kind, place === '' ? this.#place : `${this.#place}: ${place}`, this.#ours(ours), theirs);
  }

  #ours(of: (answer: PolicyAnswer) => unknown): unknown {
    return 'refused' in this.#answer ? `refused: ${this.#answer.refused}` : of(this.#answer);
  }
}

function sideOf({ srcIdentity, dstIdentity, ...flow }: FlowAnswer, side: 'egress' | 'ingress'): object | null {
  return flow[side] && { srcIdentity, dstIdentity, ...flow[side] };
}

function stepOf(changes: unknown, mapstate: object[] | undefined): object | undefined {
  if (!isObject(changes) || mapstate === undefined) return undefined;
  return { adds: keys(changes.adds), deletes: keys(changes.deletes), mapstate };
}

/** The fields of the second, those that the first has in its order: easier to compare by eye. */
const inOrderOf = (first: unknown, second: Published): object => ({
  ...Object.fromEntries(Object.keys(isObject(first) ? first : {}).map((name) => [name, second[name]])),
  ...second,
});

const keyOf = (side: unknown): unknown => (isObject(side) ? side.matchedKey : null);

const member = (object: unknown, name: string): unknown =>
  isObject(object) && Object.hasOwn(object, name) ? object[name] : undefined;

/** With the defaults filled in; undefined if it is no list of entries. */
const entries = (list: unknown): object[] | undefined =>
  keys(list)?.map((entry) => inOrderOf(ENTRY, { ...ENTRY_DEFAULTS, ...entry }));

function keys(list: unknown): KeyAnswer[] | undefined {
  if (!Array.isArray(list) || !list.every(isObject)) return undefined;
  return (list as unknown as KeyAnswer[]).toSorted(compareKeys);
}
