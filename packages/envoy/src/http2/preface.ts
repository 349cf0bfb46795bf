const MAGIC = Buffer.from('PRI * HTTP/2', 'latin1');

/**
 * Does a client that begins with these bytes speak HTTP/2? undefined: more must come. Until they do, it can be taken for
 * HTTP/1, where they are the beginning of a request line. Source: Envoy's Http::Utility::determineNextProtocol (codec AUTO).
 */
export function speaksHttp2(first: Uint8Array): boolean | undefined {
  const known = Math.min(first.length, MAGIC.length);
  if (MAGIC.compare(first, 0, known, 0, known) !== 0) return false;
  return known === MAGIC.length ? true : undefined;
}
