import fc from 'fast-check';
import { CLIENTS, podYaml } from './law.ts';

/** What policies may say of names in the law, and a plain model of what then happens to questions and connections. */

const KINDS = ['good', 'other', 'bad'] as const;
type Kind = (typeof KINDS)[number];
const PATTERNS = ['good', 'bad', '*'] as const;
type Pattern = (typeof PATTERNS)[number];

const patterns: fc.Arbitrary<readonly Pattern[]> = fc.uniqueArray(fc.constantFrom(...PATTERNS), {
  minLength: 1,
  maxLength: 2,
});
/** Policies about the empire's pods; those of the alliance may do everything. */
export const scenario = fc.record({
  /** Rules about the cluster's DNS; without names about all questions, and not by way of the proxy. */
  dns: fc.array(fc.option(patterns, { nil: undefined, freq: 4 }), { maxLength: 2 }),
  fqdns: fc.oneof(fc.constant<readonly Pattern[]>([]), patterns),
  audit: fc.boolean(),
  asked: fc.array(
    fc.record({
      client: fc.constantFrom(...CLIENTS),
      kind: fc.constantFrom(...KINDS),
      what: fc.constantFrom('question', 'connection'),
    }),
    { minLength: 8, maxLength: 8 },
  ),
});
export type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never;
export type Asked = Scenario['asked'][number];

export interface NameLaw {
  readonly code: 0 | 133;
  readonly sees: 'answer' | 'time-out' | 'REFUSED';
  /** By way of the DNS proxy, which learns from the answer. */
  readonly proxied: boolean;
}

/** No two scenarios share names or addresses: what one has learnt is nothing to another. */
export class NamesOf {
  readonly #number: number;

  constructor(number: number) {
    this.#number = number;
  }

  name(kind: Kind): string {
    return `${kind}${this.#number}.${kind === 'bad' ? 'test' : 'example'}`;
  }

  address(kind: Kind): string {
    const at = this.#number * KINDS.length + KINDS.indexOf(kind);
    return `198.18.${at >> 8}.${at & 0xff}`;
  }

  /** Everybody who is outside of the cluster. */
  get world(): { name: string; address: string }[] {
    return KINDS.map((kind) => ({ name: this.name(kind), address: this.address(kind) }));
  }

  policy({ dns, fqdns }: Scenario): string {
    const selector = (pattern: Pattern): object =>
      pattern === '*' ? { matchPattern: `*${this.#number}.example` } : { matchName: this.name(pattern) };
    const rules = dns.map((names) => ({
      toEndpoints: [{ matchLabels: { 'k8s-app': 'kube-dns' } }],
      toPorts: [
        {
          ports: [{ port: '53', protocol: 'UDP' }],
          ...(names !== undefined && { rules: { dns: names.map(selector) } }),
        },
      ],
    }));
    const egress = [...rules, ...(fqdns.length === 0 ? [] : [{ toFQDNs: fqdns.map(selector) }])];
    const spec = { endpointSelector: { matchLabels: { org: 'empire' } }, egress: egress.length === 0 ? [{}] : egress };
    return JSON.stringify({ apiVersion: 'cilium.io/v2', kind: 'CiliumNetworkPolicy', metadata: { name: 'law' }, spec });
  }
}

const matches = (pattern: Pattern, kind: Kind): boolean => pattern === kind || (pattern === '*' && kind !== 'bad');

/** @param learnt what the DNS proxy has seen answered under this policy; it learns from what is asked now */
export function lawOf({ dns, fqdns, audit }: Scenario, { client, kind, what }: Asked, learnt: Set<Kind>): NameLaw {
  const free: NameLaw = { code: 0, sees: 'answer', proxied: false };
  const denied: NameLaw = { code: 133, sees: audit ? 'answer' : 'time-out', proxied: false };
  if (client.labels.org !== 'empire') return free;
  if (what === 'connection') return learnt.has(kind) && fqdns.some((pattern) => matches(pattern, kind)) ? free : denied;
  if (dns.length === 0) return denied;
  if (dns.every((names) => names === undefined)) return free;
  const allowed = dns.some((names) => names === undefined || names.some((pattern) => matches(pattern, kind)));
  if (allowed) learnt.add(kind);
  return { code: 0, sees: allowed ? 'answer' : 'REFUSED', proxied: true };
}

/** What Hubble must have told of it, and nothing else. */
export function wantedLog({ code, sees, proxied }: NameLaw, audit: boolean): Record<string, boolean> {
  return {
    'Policy denied DROPPED': code !== 0 && !audit,
    AUDITED: code !== 0 && audit,
    'dns-request proxy DROPPED': sees === 'REFUSED',
    'dns-request proxy FORWARDED': proxied && sees === 'answer',
  };
}

/** The end of a connection may be told when the policy that let it begin is gone: of TCP, only what begins one counts. */
const isBeginning = (line: string): boolean => !/TCP Flags: (?!SYN\))/.test(line);

export function logOf(lines: readonly string[], law: NameLaw, audit: boolean): Record<string, boolean> {
  const told = lines.filter(isBeginning);
  return Object.fromEntries(
    Object.keys(wantedLog(law, audit)).map((text) => [text, told.some((line) => line.includes(text))]),
  );
}

export const DNS_POD = 'coredns';
export const DNS_ADDRESS = '10.0.0.53';
export const namesYaml = (): string =>
  CLIENTS.map(({ name, labels }, index) => podYaml(name, `10.0.0.${index + 1}`, labels)).join('') +
  podYaml(DNS_POD, DNS_ADDRESS, { 'k8s-app': 'kube-dns' }, 'ciliate.io/server: "dns:53"') +
  `
apiVersion: v1
kind: Service
metadata: { name: kube-dns, namespace: kube-system }
spec: { clusterIP: 10.96.0.10, ports: [{ port: 53, protocol: UDP }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: kube-dns-1, namespace: kube-system, labels: { kubernetes.io/service-name: kube-dns } }
addressType: IPv4
ports: [{ port: 53, protocol: UDP }]
endpoints: [{ addresses: [${DNS_ADDRESS}] }]
`;
