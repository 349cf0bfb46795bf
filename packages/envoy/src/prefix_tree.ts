interface Node<T> {
  /** What stands between the parent's end and this one's. */
  readonly edge: string;
  value: T | undefined;
  readonly children: Map<number, Node<T>>;
}

/** Values by prefixes of texts: a radix tree. */
export class PrefixTree<T> {
  readonly #root: Node<T> = { edge: '', value: undefined, children: new Map() };

  set(prefix: string, value: T): void {
    let node = this.#root;
    let at = 0;
    while (at < prefix.length) {
      const code = prefix.charCodeAt(at);
      const child = node.children.get(code);
      if (child === undefined) {
        const leaf: Node<T> = { edge: prefix.slice(at), value: undefined, children: new Map() };
        node.children.set(code, leaf);
        node = leaf;
        break;
      }
      const shared = sharedLength(child.edge, prefix, at);
      node = shared === child.edge.length ? child : split(node, child, shared);
      at += shared;
    }
    node.value = value;
  }

  /** The values of all prefixes of a text, the shortest first. */
  of(text: string): T[] {
    const values: T[] = [];
    let node: Node<T> | undefined = this.#root;
    for (let at = 0; node !== undefined; ) {
      if (node.value !== undefined) values.push(node.value);
      const child: Node<T> | undefined = at < text.length ? node.children.get(text.charCodeAt(at)) : undefined;
      node = child !== undefined && text.startsWith(child.edge, at) ? child : undefined;
      at += node?.edge.length ?? 0;
    }
    return values;
  }
}

function sharedLength(edge: string, text: string, from: number): number {
  let length = 0;
  while (length < edge.length && edge.charCodeAt(length) === text.charCodeAt(from + length)) length++;
  return length;
}

/** Puts a node between a parent and its child, after the first chars of the child's edge. */
function split<T>(parent: Node<T>, child: Node<T>, length: number): Node<T> {
  const rest = { ...child, edge: child.edge.slice(length) };
  const middle: Node<T> = { edge: child.edge.slice(0, length), value: undefined, children: new Map() };
  middle.children.set(rest.edge.charCodeAt(0), rest);
  parent.children.set(middle.edge.charCodeAt(0), middle);
  return middle;
}
