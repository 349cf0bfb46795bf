/** Who says so, strongest first. */
const SOURCES = [
  'kube-apiserver',
  'local',
  'kvstore',
  'custom-resource',
  'k8s',
  'clustermesh',
  'directory',
  'api',
  'generated',
  'restored',
  'unspec',
] as const;
/** Source: pkg/source/source.go. */
export type Source = (typeof SOURCES)[number];

/** May state from source `next` replace state from source `existing`? */
export const allowOverwrite = (existing: Source, next: Source): boolean =>
  SOURCES.indexOf(next) <= SOURCES.indexOf(existing);
