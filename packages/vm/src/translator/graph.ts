import type { Insn } from '../insn/insn.ts';
import { EXIT, LDDW } from '../insn/opcodes.ts';
import { isUnconditional, jumpTarget } from '../insn/validate.ts';

/** Instructions that are only entered at the first and only left at the last. */
export interface Block {
  /** Slots: from the first to behind the last. */
  from: number;
  to: number;
  /** What comes next: nothing after an exit, one after a goto, [taken, not taken] after a condition. */
  next: readonly number[];
}

/** The control flow of a function: blocks in reverse postorder (0 is the entry), without those that nothing reaches. */
export interface Graph {
  blocks: readonly Block[];
  /** Immediate dominator of each block; the entry's is itself. */
  dominator: readonly number[];
  /** Whether every loop has one entry, as compiled C has: what `structure` needs. */
  isReducible: boolean;
}

export function controlFlow(code: readonly Insn[]): Graph {
  const raw = splitBlocks(code);
  const order = reversePostorder(raw);
  const place = new Map(order.map((id, i) => [id, i]));
  const blocks = order.map((id) => {
    const block = raw.get(id)!;
    return { ...block, next: block.next.map((next) => place.get(next)!) };
  });
  const dominator = dominators(blocks);
  const isReducible = blocks.every(({ next }, id) => next.every((to) => to > id || dominates(dominator, to, id)));
  return { blocks, dominator, isReducible };
}

/** By the slot that they start at, which `next` names too. */
function splitBlocks(code: readonly Insn[]): Map<number, Block> {
  const isStart = new Uint8Array(code.length + 1);
  for (let slot = 0; slot < code.length; slot++) {
    const insn = code[slot]!;
    const target = slot > 0 && code[slot - 1]!.op === LDDW ? undefined : jumpTarget(insn, slot);
    if (target !== undefined) isStart[target] = 1;
    if (target !== undefined || insn.op === EXIT) isStart[slot + 1] = 1;
  }
  const blocks = new Map<number, Block>();
  for (let from = 0; from < code.length; ) {
    const next = isStart.indexOf(1, from + 1);
    const to = next < 0 ? code.length : next;
    blocks.set(from, { from, to, next: nextOf(code, from, to) });
    from = to;
  }
  return blocks;
}

function nextOf(code: readonly Insn[], from: number, to: number): number[] {
  const last = to - 1;
  const insn = code[last]!;
  if (last > from && code[last - 1]!.op === LDDW) return [to];
  if (insn.op === EXIT) return [];
  const target = jumpTarget(insn, last);
  if (target === undefined) return [to];
  return isUnconditional(insn) || target === to ? [target] : [target, to];
}

function reversePostorder(blocks: ReadonlyMap<number, Block>): number[] {
  const seen = new Set([0]);
  const order: number[] = [];
  const path = [{ id: 0, visited: 0 }];
  while (path.length > 0) {
    const top = path.at(-1)!;
    const next = blocks.get(top.id)!.next[top.visited++];
    if (next === undefined) order.push(path.pop()!.id);
    else if (!seen.has(next)) {
      seen.add(next);
      path.push({ id: next, visited: 0 });
    }
  }
  return order.reverse();
}

/** Source: Cooper, Harvey, Kennedy, A Simple, Fast Dominance Algorithm (2001). */
function dominators(blocks: readonly Block[]): number[] {
  const before: number[][] = blocks.map(() => []);
  for (const [id, { next }] of blocks.entries()) for (const to of next) before[to]!.push(id);
  const dominator: number[] = blocks.map(() => -1);
  dominator[0] = 0;
  for (let changed = true; changed; ) {
    changed = false;
    for (let id = 1; id < blocks.length; id++) {
      let found = -1;
      for (const from of before[id]!) {
        if (dominator[from] === -1) continue;
        found = found === -1 ? from : common(dominator, found, from);
      }
      if (dominator[id] !== found) {
        dominator[id] = found;
        changed = true;
      }
    }
  }
  return dominator;
}

function common(dominator: readonly number[], a: number, b: number): number {
  let [x, y] = [a, b];
  while (x !== y) {
    while (x > y) x = dominator[x]!;
    while (y > x) y = dominator[y]!;
  }
  return x;
}

function dominates(dominator: readonly number[], a: number, b: number): boolean {
  let x = b;
  while (x > a) x = dominator[x]!;
  return x === a;
}
