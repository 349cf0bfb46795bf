/** What becomes of a request's path before policy sees it. */
export type NormalizedPath =
  | { readonly kind: 'forward'; readonly path: string }
  /** It had escaped slashes: the client is told to ask for `path` instead. */
  | { readonly kind: 'redirect'; readonly path: string }
  | { readonly kind: 'reject' };

/** Nothing to do: segments of plain characters that do not begin with a dot. */
const NORMAL = /^(?:\/[0-9A-Za-z\-_~!$&'()*+,;=:@][0-9A-Za-z\-._~!$&'()*+,;=:@]*)*\/?(?:\?[^#]*)?$/;
const ESCAPED_SLASH = /%2f|%5c/gi;
const UNRESERVED = /^[0-9A-Za-z\-_~]$/; // the dot is handled apart
const ESCAPED = /["<>^`{|}]/;
const HEX_PAIR = /^[0-9a-fA-F]{2}$/;

/**
 * Normalises as Cilium has Envoy do it (`--http-normalize-path`): escaped slashes, then escapes of unreserved characters
 * and dot segments, then slashes in a row. The query stays as it is; a fragment is refused.
 * Source: pkg/envoy/xds_server.go; Envoy's conn_manager_utility and path_utility; RFC 3986, 6.2.2.
 *
 * @param target in origin form, of visible ASCII
 */
export function normalizePath(target: string): NormalizedPath {
  if (NORMAL.test(target)) return { kind: 'forward', path: target };
  if (target.includes('#')) return { kind: 'reject' };
  const queryAt = target.indexOf('?');
  const path = queryAt === -1 ? target : target.slice(0, queryAt);
  const query = queryAt === -1 ? '' : target.slice(queryAt);
  const unescaped = path.replace(ESCAPED_SLASH, (found) => (found[1] === '2' ? '/' : '\\'));
  const canonical = canonicalize(unescaped);
  if (canonical === undefined) return { kind: 'reject' };
  const normalized = canonical.replace(/\/{2,}/g, '/') + query;
  return { kind: unescaped === path ? 'forward' : 'redirect', path: normalized };
}

/** As browsers do, backslashes included. @returns undefined if the path holds an escaped NUL */
function canonicalize(path: string): string | undefined {
  let out = '';
  for (let at = 0; at < path.length; ) {
    const char = path[at]!;
    const dot = dotLength(path, at);
    if (dot > 0) {
      const segment = out.endsWith('/') ? dotSegment(path, at, dot) : undefined;
      if (segment === undefined) out += '.';
      else if (segment.up) out = parentOf(out);
      at += segment?.length ?? dot;
    } else if (char === '%' && HEX_PAIR.test(path.slice(at + 1, at + 3))) {
      const code = Number.parseInt(path.slice(at + 1, at + 3), 16);
      if (code === 0) return undefined;
      const plain = String.fromCharCode(code);
      out += UNRESERVED.test(plain) ? plain : path.slice(at, at + 3);
      at += 3;
    } else {
      out += char === '\\' ? '/' : ESCAPED.test(char) ? percentEncode(char) : char;
      at += 1;
    }
  }
  return out;
}

const percentEncode = (char: string): string => `%${char.charCodeAt(0).toString(16).toUpperCase()}`;

/** Of a dot, plain or escaped; 0 if there is none. */
function dotLength(path: string, at: number): 0 | 1 | 3 {
  if (path[at] === '.') return 1;
  return path.slice(at, at + 3).toLowerCase() === '%2e' ? 3 : 0;
}

/** The segment `.` or `..` that starts with the dot at `at`, with the slash after it; undefined if it is a longer one. */
function dotSegment(path: string, at: number, dot: number): { up: boolean; length: number } | undefined {
  const second = dotLength(path, at + dot);
  const end = at + dot + second;
  if (end < path.length && path[end] !== '/' && path[end] !== '\\') return undefined;
  return { up: second > 0, length: end + 1 - at };
}

/** Without the last segment of a path that ends with a slash. */
const parentOf = (path: string): string =>
  path.length === 1 ? path : path.slice(0, path.lastIndexOf('/', path.length - 2) + 1);
