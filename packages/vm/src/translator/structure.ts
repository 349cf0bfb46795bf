import type { Graph } from './graph.ts';
import { type CodeWriter, OP, TYPE } from './wasm.ts';

/** What the blocks do; the shape around them is made here. */
export interface BlockEmitter {
  /** The instructions of a block, without its last jump; with its exit. */
  block(id: number): void;
  /** Leaves an i32 on the stack: whether the block's last jump is taken. */
  condition(id: number): void;
  /** At the head of each loop. */
  loopHead(): void;
}

/**
 * Turns gotos into the blocks, loops and ifs of WebAssembly. A block that is reached from several places stands behind a
 * `block` that its immediate dominator opens; one that is reached from one place stands right there. Control flow of any
 * other kind (a loop with two entries) becomes a loop around one jump table.
 *
 * Source: Ramsey, Beyond Relooper: Recursive Translation of Unstructured Control Flow to Structured Control Flow (2022).
 * What is recursive there is a list of things to do here: programs are deeper than a stack.
 */
export function emitStructured(graph: Graph, w: CodeWriter, emitter: BlockEmitter, selector: number): void {
  if (graph.isReducible) new Structure(graph, w, emitter).emit();
  else emitDispatch(graph, w, emitter, selector);
  w.u8(OP.unreachable);
}

class Structure {
  private readonly graph: Graph;
  private readonly w: CodeWriter;
  private readonly emitter: BlockEmitter;
  private readonly isLoop: boolean[];
  private readonly isMerge: boolean[];
  /** Merge blocks by their immediate dominator, in reverse postorder. */
  private readonly merges: number[][];
  /** What is open, outermost first: the block that a branch there goes to; -1 for an `if`. */
  private readonly labels: number[] = [];
  private readonly work: (() => void)[] = [];

  constructor(graph: Graph, w: CodeWriter, emitter: BlockEmitter) {
    this.graph = graph;
    this.w = w;
    this.emitter = emitter;
    const { blocks, dominator } = graph;
    const forward = blocks.map(() => 0);
    this.isLoop = blocks.map(() => false);
    for (const [id, { next }] of blocks.entries()) {
      for (const to of next) {
        if (to <= id) this.isLoop[to] = true;
        else forward[to]!++;
      }
    }
    this.isMerge = forward.map((count) => count > 1);
    this.merges = blocks.map(() => []);
    for (let id = 1; id < blocks.length; id++) if (this.isMerge[id]) this.merges[dominator[id]!]!.push(id);
  }

  emit(): void {
    this.tree(0);
    for (let next = this.work.pop(); next !== undefined; next = this.work.pop()) next();
  }

  /** In the order of the arguments, before everything that waits already. */
  private doNext(...steps: readonly (() => void)[]): void {
    for (const step of steps.toReversed()) this.work.push(step);
  }

  private open(op: number, label: number): void {
    this.w.u8(op, TYPE.none);
    this.labels.push(label);
  }

  private close(): void {
    this.w.u8(OP.end);
    this.labels.pop();
  }

  /** A block and all that it dominates. */
  private tree(id: number): void {
    const merges = this.merges[id]!;
    const steps: (() => void)[] = [];
    if (this.isLoop[id]) {
      steps.push(() => {
        this.open(OP.loop, id);
        this.emitter.loopHead();
      });
    }
    steps.push(() => {
      for (const merge of merges.toReversed()) this.open(OP.block, merge);
      this.node(id);
    });
    for (const merge of merges) {
      steps.push(() => {
        this.close();
        this.tree(merge);
      });
    }
    if (this.isLoop[id]) steps.push(() => this.close());
    this.doNext(...steps);
  }

  private node(id: number): void {
    const { next } = this.graph.blocks[id]!;
    this.emitter.block(id);
    const [taken, otherwise] = next;
    if (taken === undefined) return;
    if (otherwise === undefined) {
      this.goto(id, taken);
      return;
    }
    this.emitter.condition(id);
    if (this.isBranch(id, taken)) {
      this.w.u8(OP.brIf).unsigned(this.depthOf(taken));
      this.goto(id, otherwise);
    } else if (this.isBranch(id, otherwise)) {
      this.w.u8(OP.i32Eqz, OP.brIf).unsigned(this.depthOf(otherwise));
      this.tree(taken);
    } else {
      this.open(OP.if, -1);
      this.doNext(
        () => this.tree(taken),
        () => this.close(),
        () => this.tree(otherwise),
      );
    }
  }

  private goto(from: number, to: number): void {
    if (this.isBranch(from, to)) this.w.u8(OP.br).unsigned(this.depthOf(to));
    else this.tree(to);
  }

  /** Whether a label of `to` is open: it is a loop around `from`, or stands behind a block. */
  private isBranch(from: number, to: number): boolean {
    return to <= from || this.isMerge[to]!;
  }

  private depthOf(to: number): number {
    return this.labels.length - 1 - this.labels.lastIndexOf(to);
  }
}

/** @param selector an i32 local that says which block comes next; at first 0 */
function emitDispatch(graph: Graph, w: CodeWriter, emitter: BlockEmitter, selector: number): void {
  const { blocks } = graph;
  w.u8(OP.loop, TYPE.none);
  emitter.loopHead();
  for (let i = 0; i < blocks.length; i++) w.u8(OP.block, TYPE.none);
  w.get(selector)
    .u8(OP.brTable)
    .unsigned(blocks.length - 1);
  for (let i = 0; i < blocks.length; i++) w.unsigned(i);
  for (const [id, { next }] of blocks.entries()) {
    w.u8(OP.end);
    emitter.block(id);
    const [taken, otherwise] = next;
    if (taken === undefined) continue;
    if (otherwise === undefined) w.i32(taken);
    else {
      emitter.condition(id);
      w.u8(OP.if, TYPE.i32).i32(taken).u8(OP.else).i32(otherwise).u8(OP.end);
    }
    w.set(selector)
      .u8(OP.br)
      .unsigned(blocks.length - 1 - id);
  }
  w.u8(OP.end);
}
