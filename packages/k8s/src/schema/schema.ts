import { isMap, isScalar, isSeq, type Node } from 'yaml';
import { indexPath, keyPath } from '../paths.ts';
import { quoted } from '../words.ts';
import type { SourceText } from '../yaml.ts';

/** What a schema answers for a value that it has reported as wrong. */
export const INVALID = Symbol('invalid');
export type Invalid = typeof INVALID;

/** What a value of the YAML tree must look like, and what it becomes. Immutable; can be shared. */
export interface Schema<T> {
  /** The fields known in it, or in the items of the list it is: there a misplaced field is looked for. */
  readonly fields?: Fields;
  /** True for a list: a path to its fields then passes through an item. */
  readonly isList?: boolean;
  /** To the agent's own decoder null is a value of this; elsewhere it is as good as absent. */
  readonly takesNull?: boolean;
  /** Reports every problem to `place`; never throws. @param node no alias */
  decode(node: Node, place: Place): T | Invalid;
}

/** A field of an object that is decoded. `absent` gives its value where it is not there; without it, it must be. */
export interface ValueField<T> {
  readonly is: 'value';
  readonly schema: Schema<T>;
  readonly absent: (() => T) | undefined;
  /** Why it must be there, where Kubernetes itself would fill it in. */
  readonly why?: string;
}
/** A field that has a meaning in Kubernetes or Cilium, but none for what is emulated here. */
export interface IgnoredField {
  readonly is: 'ignored';
}
/** A field that has a meaning which is not modelled: dropping it in silence would make verdicts wrong. */
export interface RefusedField {
  readonly is: 'refused';
  readonly why: string;
}
export type Fields = Readonly<Record<string, ValueField<unknown> | IgnoredField | RefusedField>>;

/** An object around a place, with those around it. */
export interface Enclosing {
  readonly fields: Fields;
  readonly path: string;
  readonly around: Enclosing | undefined;
}

/** Where in the text a schema is at work. */
export class Place {
  readonly source: SourceText;
  /** As in `spec.ingress[0]`; '' for a document. */
  readonly path: string;
  readonly around: Enclosing | undefined;

  constructor(source: SourceText, path = '', around?: Enclosing) {
    this.source = source;
    this.path = path;
    this.around = around;
  }

  key(name: string, around = this.around): Place {
    return new Place(this.source, keyPath(this.path, name), around);
  }

  index(index: number): Place {
    return new Place(this.source, indexPath(this.path, index), this.around);
  }

  /** Decode the value that stands here, an alias followed. */
  decode<T>(schema: Schema<T>, node: Node): T | Invalid {
    const target = this.source.resolve(node, this.path);
    return target === undefined ? INVALID : schema.decode(target, this);
  }

  report(node: Node, message: string, suggestion?: string): Invalid {
    this.source.report(node, this.path, message, suggestion);
    return INVALID;
  }

  /** Report `want X, found Y`. */
  mismatch(node: Node, want: string, hint = ''): Invalid {
    return this.report(node, `want ${want}, found ${found(node)}${hint}`);
  }
}

function found(node: Node): string {
  if (isMap(node)) return 'a mapping';
  if (isSeq(node)) return 'a list';
  if (!isScalar(node) || node.value === null) return 'nothing';
  if (typeof node.value === 'string') return quoted(node.value);
  return `the ${typeof node.value} ${node.source}`;
}
