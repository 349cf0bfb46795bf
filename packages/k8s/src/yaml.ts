import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
} from 'yaml';
import type { Problem } from './errors.ts';
import { indexPath, keyPath } from './paths.ts';
import type { Position } from './types.ts';
import { quoted } from './words.ts';

/** How often one document may use aliases; keeps a small text from standing for a huge one. */
const MAX_ALIASES = 100;

/** What an alias stands for, and how often aliases of its document have been followed. */
interface AliasTarget {
  readonly node: Node;
  readonly uses: { count: number };
}

/** Refused wherever it is; who reads a mapping passes over it. */
export const MERGE_KEY = '<<';

/** One YAML text: its documents as trees, and the way from a node back to its place in the text. */
export class SourceText {
  readonly problems: Problem[] = [];
  /** The roots of the documents that are not empty and have no syntax error. */
  readonly roots: Node[] = [];
  /** Read as the agent's own decoder reads: unknown fields mean nothing, and only types can be wrong. */
  readonly isLenient: boolean;
  readonly #file: string;
  readonly #lines = new LineCounter();
  readonly #targets = new Map<Alias, AliasTarget>();

  /**
   * YAML 1.2 core schema, whatever a %YAML directive says: `yes` is no boolean. JSON is YAML too.
   * @param file the name to report
   */
  constructor(text: string, file: string, isLenient = false) {
    this.isLenient = isLenient;
    this.#file = file;
    const documents = parseAllDocuments(text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      uniqueKeys: false, // found below, where the path is known
      stringKeys: true,
      schema: 'core',
      resolveKnownTags: false,
      merge: false,
      logLevel: 'silent',
    });
    for (const document of documents) this.#take(document);
  }

  positionOf(node: Node): Position {
    return this.#positionAt(node.range?.[0] ?? 0);
  }

  report(node: Node, field: string, message: string, suggestion?: string): void {
    this.problems.push({ position: this.positionOf(node), field, message, suggestion });
  }

  /** The node itself, or what the alias stands for; undefined if it is unknown or aliases are used too often (reported). */
  resolve(node: Node, field: string): Node | undefined {
    if (!isAlias(node)) return node;
    const target = this.#targets.get(node);
    if (target === undefined) return undefined;
    const count = ++target.uses.count;
    if (count === MAX_ALIASES + 1) this.report(node, field, `more than ${MAX_ALIASES} uses of aliases in one document`);
    return count > MAX_ALIASES ? undefined : target.node;
  }

  /** Where what `path` names from `root` on begins; if it is not there, the deepest that is. */
  positionIn(root: Node, path: readonly (string | number)[]): Position {
    let node = root;
    for (const step of path) {
      const next = isMap(node) || isSeq(node) ? (node.get(step, true) as Node | null | undefined) : undefined;
      const target = isAlias(next) ? this.#targets.get(next)?.node : next;
      if (target === undefined || target === null) break;
      node = target;
    }
    return this.positionOf(node);
  }

  #positionAt(offset: number): Position {
    const { line, col } = this.#lines.linePos(offset);
    return { file: this.#file, line: Math.max(line, 1), column: Math.max(col, 1) };
  }

  #take(document: Document.Parsed): void {
    // Only the first: what follows a syntax error is mostly its echo. An unknown tag is only a warning to the parser.
    const error = document.errors[0] ?? document.warnings[0];
    if (error !== undefined) {
      const message = `not valid YAML: ${syntaxMessage(error)}`;
      this.problems.push({ position: this.#positionAt(error.pos[0]), field: '', message, suggestion: undefined });
      return;
    }
    const root = document.contents;
    if (root === null || (isScalar(root) && root.value === null)) return;
    this.#check(root);
    this.roots.push(root);
  }

  /** Refuse duplicate keys, merge keys and unknown aliases, everywhere: also in fields that are not read later. */
  #check(root: Node): void {
    const anchors = new Map<string, Node>();
    const uses = { count: 0 };
    const waiting: [Node, string][] = [[root, '']]; // not recursive: the nesting may be deep
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const [node, path] = next;
      if (isAlias(node)) {
        const target = anchors.get(node.source);
        if (target === undefined) this.report(node, path, `unknown alias ${quoted(`*${node.source}`)}`);
        else this.#targets.set(node, { node: target, uses });
        continue;
      }
      if (node.anchor !== undefined) anchors.set(node.anchor, node);
      // An anchor holds for what follows it, so the order of the text counts: the last child waits longest.
      for (const child of this.#childrenOf(node, path).reverse()) waiting.push(child);
    }
  }

  #childrenOf(node: Node, path: string): [Node, string][] {
    if (isSeq<Node>(node)) return node.items.map((item, index) => [item, indexPath(path, index)]);
    const children: [Node, string][] = [];
    if (!isMap<Node, Node | null>(node)) return children;
    const seen = new Set<string>();
    for (const { key, value } of node.items) {
      const name = keyText(key);
      if (name === MERGE_KEY) this.report(key, path, 'merge keys (<<) are not supported');
      if (seen.has(name)) this.report(key, path, `duplicate key ${quoted(name)}`);
      seen.add(name);
      if (value !== null) children.push([value, keyPath(path, name)]);
    }
    return children;
  }
}

export const isNull = (node: Node | null): boolean => node === null || (isScalar(node) && node.value === null);

/** A key as text; the parser has already refused keys that are no scalars. */
export const keyText = (key: Node): string => (isScalar(key) ? String(key.value) : '');

function syntaxMessage({ code, message }: { code: string; message: string }): string {
  if (code === 'NON_STRING_KEY') return 'a key must be a string';
  if (code === 'RESOURCE_EXHAUSTION' || message.includes('call stack')) return 'nested too deeply';
  const line = message.replace(/\s+/g, ' ').trim();
  return /^[A-Z][a-z]/.test(line) ? line.charAt(0).toLowerCase() + line.slice(1) : line;
}
