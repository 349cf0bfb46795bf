import { quoted } from './words.ts';

/** `spec` + `ingress` → `spec.ingress`; a key that is no plain word is put in brackets: `metadata.labels["a/b"]`. */
export function keyPath(path: string, key: string): string {
  if (!/^[\w-]+$/.test(key)) return `${path}[${quoted(key)}]`;
  return path === '' ? key : `${path}.${key}`;
}

export const indexPath = (path: string, index: number): string => `${path}[${index}]`;

/** The way back: `spec.ingress[0].labels["a/b"]` → spec, ingress, 0, labels, a/b. */
export const pathSteps = (path: string): (string | number)[] =>
  [...path.matchAll(/\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]|([^.[\]]+)/g)].map(([, index, key, word]) =>
    index !== undefined ? Number(index) : key !== undefined ? (JSON.parse(key) as string) : word!,
  );
