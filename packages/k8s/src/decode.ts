import { isMap, type Node, type YAMLMap } from 'yaml';
import { DecodeError, type Problem } from './errors.ts';
import { isKind, KINDS, type Kind, REFUSED_KINDS } from './kinds/kinds.ts';
import { pathSteps } from './paths.ts';
import { list } from './schema/collections.ts';
import { ignored, object, required } from './schema/object.ts';
import { INVALID, type Invalid, Place, type Schema } from './schema/schema.ts';
import { string } from './schema/values.ts';
import type { K8sObject, Position } from './types.ts';
import { didYouMean, nearestWord, oneOf, quoted } from './words.ts';
import { keyText, SourceText } from './yaml.ts';

export interface DecodeOptions {
  /**
   * `refuse`, the default, is for what users write: what the API server would refuse is an error, too. `ignore` reads as the
   * agent's own decoder reads what comes from the API server: only types can be wrong.
   */
  unknownFields?: 'refuse' | 'ignore';
}

/** Where objects came from: the text, and the node in it. */
const origins = new WeakMap<K8sObject, { source: SourceText; node: Node }>();

/**
 * Where a field of a decoded object stands; if it is not there, the deepest part of the path that is. An object that came
 * from no text answers its own position.
 * @param path as errors name fields: `spec.ingress[0].toPorts`, `metadata.labels["a/b"]`
 */
export function positionOf(object: K8sObject, path: string): Position {
  const origin = origins.get(object);
  return origin === undefined ? object.position : origin.source.positionIn(origin.node, pathSteps(path));
}

/**
 * Decode the Kubernetes objects in a YAML or JSON text, which may hold several documents and Lists.
 *
 * @param file the name to report in errors and positions
 * @returns the objects in the order of the text; none if the text holds nothing but comments
 * @throws DecodeError with all problems of the text (the first MAX_PROBLEMS); nothing else
 */
export function decodeObjects(text: string, file: string, options?: DecodeOptions): K8sObject[] {
  const { objects, problems } = tryDecode(text, file, options);
  if (problems.length > 0) throw new DecodeError(problems);
  return objects;
}

/** As decodeObjects, but all problems are in the answer; then the objects are not complete. */
export function tryDecode(
  text: string,
  file: string,
  { unknownFields = 'refuse' }: DecodeOptions = {},
): { objects: K8sObject[]; problems: Problem[] } {
  const source = new SourceText(text, file, unknownFields === 'ignore');
  const decoded = source.roots.map((root) => new Place(source).decode(anyObject, root));
  const objects = decoded.filter((found) => found !== INVALID).flat();
  return { objects, problems: source.problems.toSorted(byPosition) };
}

const byPosition = ({ position: a }: Problem, { position: b }: Problem): number =>
  a.line - b.line || a.column - b.column;

/** An object of any kind; a List becomes its items. */
const anyObject: Schema<K8sObject[]> = {
  decode(node, place) {
    if (!isMap<Node, Node | null>(node)) return place.mismatch(node, 'a Kubernetes object');
    const apiVersion = header('apiVersion', node, place);
    const kind = header('kind', node, place);
    if (apiVersion === INVALID || kind === INVALID) return INVALID;
    if (kind !== 'List' && !isKind(kind)) return refuseKind(kind, node, place);

    const known: readonly [string, ...string[]] = kind === 'List' ? ['v1'] : KINDS[kind].apiVersions;
    if (!known.includes(apiVersion)) {
      const message = `want ${quoted(known[0])} for a ${kind}, found ${quoted(apiVersion)}`;
      place.key('apiVersion').report(under('apiVersion', node), message, known[0]);
    }
    return kind === 'List' ? decodeList(node, place) : decodeKind(kind, node, place);
  },
};

const listObject = object({
  apiVersion: ignored,
  kind: ignored,
  metadata: ignored,
  items: required(list(anyObject)),
});

function decodeList(node: Node, place: Place): K8sObject[] | Invalid {
  const decoded = listObject.decode(node, place);
  return decoded === INVALID ? INVALID : decoded.items.flat();
}

function decodeKind(kind: Kind, node: Node, place: Place): K8sObject[] | Invalid {
  const decoded = KINDS[kind].schema.decode(node, place);
  if (decoded === INVALID) return INVALID;
  const object = { kind, position: place.source.positionOf(node), ...decoded } as K8sObject;
  origins.set(object, { source: place.source, node });
  return [object];
}

type Mapping = YAMLMap<Node, Node | null>;

const under = (name: string, node: Mapping): Node => node.get(name, true) ?? node;

/** `apiVersion` or `kind`, which decide how the rest is read. */
function header(name: 'apiVersion' | 'kind', node: Mapping, place: Place): string | Invalid {
  const value = under(name, node);
  if (value !== node) return place.key(name).decode(string, value);
  for (const { key } of node.items) {
    const word = keyText(key);
    if (nearestWord(word, ['apiVersion', 'kind', 'metadata', 'spec', 'status']) !== name) continue;
    return place.report(key, `unknown field ${quoted(word)}${didYouMean(name)}`, name);
  }
  return place.report(node, `missing required field "${name}"`);
}

function refuseKind(kind: string, node: Mapping, place: Place): Invalid {
  const at = place.key('kind');
  const value = under('kind', node);
  const why = REFUSED_KINDS.get(kind);
  if (why !== undefined) return at.report(value, `${kind}: ${why}`);
  const known = Object.keys(KINDS);
  const suggestion = nearestWord(kind, [...known, 'List', ...REFUSED_KINDS.keys()]);
  const message = `unknown kind ${quoted(kind)}${didYouMean(suggestion) || `; want ${oneOf(known)}`}`;
  return at.report(value, message, suggestion);
}
