import { blankInsn, type Code } from '../insn/code.ts';
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

export function controlFlow(code: Code): Graph {
  const { blocks: raw, startingAt } = splitBlocks(code);
  const order = reversePostorder(raw, startingAt);
  const place = new Int32Array(code.length);
  for (const [i, id] of order.entries()) place[raw[id]!.from] = i;
  const blocks = order.map((id): Block => {
    const { from, to, next } = raw[id]!;
    return { from, to, next: next.map((slot) => place[slot]!) };
  });
  const dominator = dominators(blocks);
  const isReducible = blocks.every(({ next }, id) => next.every((to) => to > id || dominates(dominator, to, id)));
  return { blocks, dominator, isReducible };
}

/** In the order of the code; `next` names slots. `startingAt`: the number of the block that starts at a slot. */
function splitBlocks(code: Code): { blocks: Block[]; startingAt: Int32Array } {
  const insn = blankInsn();
  const isStart = new Uint8Array(code.length + 1);
  for (let slot = 0; slot < code.length; slot++) {
    code.read(slot, insn);
    const target = jumpTarget(insn, slot);
    if (target !== undefined) isStart[target] = 1;
    if (target !== undefined || insn.op === EXIT) isStart[slot + 1] = 1;
    if (insn.op === LDDW) slot++;
  }
  const blocks: Block[] = [];
  const startingAt = new Int32Array(code.length);
  for (let from = 0; from < code.length; ) {
    const next = isStart.indexOf(1, from + 1);
    const to = next < 0 ? code.length : next;
    startingAt[from] = blocks.length;
    blocks.push({ from, to, next: nextOf(code, from, to) });
    from = to;
  }
  return { blocks, startingAt };
}

function nextOf(code: Code, from: number, to: number): number[] {
  const last = to - 1;
  if (last > from && code.op(last - 1) === LDDW) return [to];
  const insn = code.at(last);
  if (insn.op === EXIT) return [];
  const target = jumpTarget(insn, last);
  if (target === undefined) return [to];
  return isUnconditional(insn) || target === to ? [target] : [target, to];
}

/** Numbers of those blocks that something reaches. */
function reversePostorder(blocks: readonly Block[], startingAt: Int32Array): number[] {
  const isSeen = new Uint8Array(blocks.length);
  isSeen[0] = 1;
  const order: number[] = [];
  const path = [{ id: 0, visited: 0 }];
  while (path.length > 0) {
    const top = path.at(-1)!;
    const slot = blocks[top.id]!.next[top.visited++];
    if (slot === undefined) {
      order.push(top.id);
      path.pop();
      continue;
    }
    const id = startingAt[slot]!;
    if (isSeen[id] === 1) continue;
    isSeen[id] = 1;
    path.push({ id, visited: 0 });
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
