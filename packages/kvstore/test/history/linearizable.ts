/**
 * Is a history linearizable: can each operation be given one moment between its call and its return, so that one after
 * the other they are what the object would have answered? The search of Wing and Gong, with the memory of Lowe: the same
 * operations done in another order, leading to the same state, are not looked at twice.
 */
export interface Operation<Input, Output> {
  input: Input;
  /** undefined: it is not known whether it was done, nor when; it may be done at any time after its call, or never. */
  output: Output | undefined;
  /** Moments on one clock, each used once; `returned` of an unknown outcome has no meaning. */
  called: number;
  returned: number;
}

export interface Model<State, Input, Output> {
  initial: State;
  /** @param output undefined: any. @returns the state after it, or undefined: this could not have been answered */
  step: (state: State, input: Input, output: Output | undefined) => State | undefined;
  /** Equal states have equal names. */
  name: (state: State) => string;
}

/** A call or a return, in the order of time. Done operations are taken out of the list, and put back on the way back. */
interface Entry {
  /** Of the operation. */
  index: number;
  isCall: boolean;
  before: Entry | undefined;
  after: Entry | undefined;
  /** Of a call: its return, if there was one. */
  end: Entry | undefined;
}

/** An order of a right store's history is found in some hundreds of states: after so many, there is held to be none. */
const MOST_STATES = 300_000;

/** @returns undefined: it is; otherwise the longest beginning that could be put in order, and what none could follow */
export function notLinearizable<State, Input, Output>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
): { done: Operation<Input, Output>[]; stuck: Operation<Input, Output> } | undefined {
  const head = listOf(operations);
  const texts = operations.map(({ input }) => JSON.stringify(input));
  const seen = new Set<string>();
  const done: { entry: Entry; state: State }[] = [];
  let longest: { done: number[]; stuck: number } = { done: [], stuck: 0 };
  let bits = 0n;
  let state = model.initial;
  let entry = head.after;
  const isKnown = ({ index }: Entry): boolean => operations[index]!.output !== undefined;
  /** Of unknown outcome, and done now for nothing: what follows would be the same without it, or without the one before. */
  const isIdle = (call: Entry, next: State): boolean => {
    const name = model.name(next);
    if (name === model.name(state)) return true;
    const last = done.at(-1);
    if (last !== undefined && !isKnown(last.entry)) {
      const without = model.step(last.state, operations[call.index]!.input, undefined);
      if (without !== undefined && model.name(without) === name) return true;
    }
    for (let twin = head.after!; twin !== call; twin = twin.after!)
      if (!isKnown(twin) && texts[twin.index] === texts[call.index]) return true;
    return false;
  };
  // At each moment first those that were answered: of the others most need not have been done.
  let known = true;
  // A list without returns holds only operations of unknown outcome, which need not have been done.
  while (entry !== undefined) {
    if (entry.isCall) {
      const { input, output } = operations[entry.index]!;
      const next = isKnown(entry) === known ? model.step(state, input, output) : undefined;
      if (next === undefined || (!known && isIdle(entry, next))) {
        entry = entry.after;
        continue;
      }
      const bit = 1n << BigInt(entry.index);
      const name = `${(bits | bit).toString(36)} ${model.name(next)}`;
      if (seen.has(name)) {
        entry = entry.after;
        continue;
      }
      seen.add(name);
      done.push({ entry, state });
      bits |= bit;
      state = next;
      takeOut(entry);
      entry = head.after;
      known = true;
      continue;
    }
    if (known) {
      known = false;
      entry = head.after;
      continue;
    }
    // This operation ended, so it had to be done by now: what was done before it must be done otherwise.
    if (done.length >= longest.done.length)
      longest = { done: done.map((step) => step.entry.index), stuck: entry.index };
    const last = done.pop();
    if (last === undefined || seen.size > MOST_STATES)
      return { done: longest.done.map((index) => operations[index]!), stuck: operations[longest.stuck]! };
    bits &= ~(1n << BigInt(last.entry.index));
    state = last.state;
    putBack(last.entry);
    entry = last.entry.after;
    known = isKnown(last.entry);
  }
  return undefined;
}

function listOf(operations: readonly Operation<unknown, unknown>[]): Entry {
  const moments: { at: number; entry: Entry }[] = [];
  for (const [index, { called, returned, output }] of operations.entries()) {
    const blank = { index, before: undefined, after: undefined, end: undefined };
    const end: Entry | undefined = output === undefined ? undefined : { ...blank, isCall: false };
    moments.push({ at: called, entry: { ...blank, isCall: true, end } });
    if (end !== undefined) moments.push({ at: returned, entry: end });
  }
  moments.sort((a, b) => a.at - b.at);
  const head: Entry = { index: -1, isCall: false, before: undefined, after: undefined, end: undefined };
  let last = head;
  for (const { entry } of moments) {
    entry.before = last;
    last.after = entry;
    last = entry;
  }
  return head;
}

function takeOut(call: Entry): void {
  unlink(call);
  if (call.end !== undefined) unlink(call.end);
}

/** In the opposite order of taking out, so that the neighbours remembered are there again. */
function putBack(call: Entry): void {
  if (call.end !== undefined) link(call.end);
  link(call);
}

function unlink(entry: Entry): void {
  entry.before!.after = entry.after;
  if (entry.after !== undefined) entry.after.before = entry.before;
}

function link(entry: Entry): void {
  entry.before!.after = entry;
  if (entry.after !== undefined) entry.after.before = entry;
}
