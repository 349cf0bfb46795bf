import type { HeaderLog } from './header_match.ts';
import { type HttpRule, RuleFinder, ruleAllows } from './http_rules.ts';
import type { KafkaRequest } from './kafka/request.ts';
import { type KafkaNetworkPolicyRule, kafkaAllowed } from './kafka/rules.ts';
import type { RequestHeaderMap } from './request_header_map.ts';
import type { TlsContext } from './tls/secrets.ts';
import type { ServerNamePattern } from './tls/server_names.ts';

/** One rule of a port. */
export interface PortRule {
  readonly name: string;
  /** undefined: any identity. */
  readonly remotes: ReadonlySet<number> | undefined;
  /** undefined: any request passes. */
  readonly http: readonly HttpRule[] | undefined;
  /** The same for Kafka. */
  readonly kafka: readonly KafkaNetworkPolicyRule[] | undefined;
  /** undefined: any name, and none. */
  readonly serverNames: readonly ServerNamePattern[] | undefined;
  readonly downstreamTls: TlsContext | undefined;
  readonly upstreamTls: TlsContext | undefined;
}

/** What the rules say about a connection whose first bytes are known. A context counts only where the client speaks TLS. */
export interface TlsVerdict {
  readonly allowed: boolean;
  readonly downstream: TlsContext | undefined;
  readonly upstream: TlsContext | undefined;
}

/** A decision, and the name of the rule that allowed; undefined if none did, or if policy allows without a rule. */
export interface FilterVerdict {
  readonly allowed: boolean;
  readonly matchedRule: string | undefined;
}

const DENIED: FilterVerdict = { allowed: false, matchedRule: undefined };
const ALLOWED_BY_NO_RULE: FilterVerdict = { allowed: true, matchedRule: undefined };
/** More identities than that are not kept; they are looked up again. */
const MAX_REMOTES = 10_000;

/** All that one endpoint's policy says about one port. */
export class PortRules {
  readonly #rules: readonly PortRule[];
  /** What is said if no rule allows. */
  readonly #otherwise: FilterVerdict;
  readonly #hasHttp: boolean;
  readonly #hasKafka: boolean;
  readonly #remotes = new Map<number, RemoteRules>();
  /** Identities that the same rules are about share what is compiled of them. */
  readonly #byRules = new Map<string, RemoteRules>();

  /** @param open some entry for the port has no rules: everything is allowed */
  constructor(rules: readonly PortRule[], open: boolean) {
    this.#rules = rules;
    this.#otherwise = open ? ALLOWED_BY_NO_RULE : DENIED;
    this.#hasHttp = rules.some(({ http }) => http !== undefined);
    this.#hasKafka = rules.some(({ kafka }) => kafka !== undefined);
  }

  /** May this identity open a connection, as far as can be said before it says anything? */
  connection(identity: number): FilterVerdict {
    return this.#about(identity).first ?? this.#otherwise;
  }

  /** Does what rules say about this identity depend on whether it speaks TLS, and to whom? */
  looksAtTls(identity: number): boolean {
    return this.#about(identity).looksAtTls;
  }

  /**
   * May it open a connection that asks for this name (undefined: for none), and where does its TLS end? The first rule with a
   * context counts, on each side. Source: cilium/network_policy.cc, getServerTlsContext.
   */
  tls(identity: number, serverName: string | undefined): TlsVerdict {
    const rules = this.#about(identity).withName(serverName);
    return {
      allowed: rules.length > 0 || this.#otherwise.allowed,
      downstream: rules.find(({ downstreamTls }) => downstreamTls !== undefined)?.downstreamTls,
      upstream: rules.find(({ upstreamTls }) => upstreamTls !== undefined)?.upstreamTls,
    };
  }

  /** May it make this request? Header actions change it and note what they found. */
  request(identity: number, headers: RequestHeaderMap, log: HeaderLog): FilterVerdict {
    const rules = this.#about(identity);
    if (this.#hasHttp) return rules.request(headers, log) ?? this.#otherwise;
    return rules.first ?? ALLOWED_BY_NO_RULE;
  }

  /** May it make this Kafka request? */
  kafka(identity: number, request: KafkaRequest): FilterVerdict {
    if (!this.#hasKafka) return this.connection(identity);
    for (const { name, remotes, kafka } of this.#rules) {
      if (remotes !== undefined && !remotes.has(identity)) continue;
      if (kafka === undefined || kafkaAllowed(kafka, request)) return { allowed: true, matchedRule: name };
    }
    return this.#otherwise;
  }

  #about(identity: number): RemoteRules {
    const known = this.#remotes.get(identity);
    if (known !== undefined) return known;
    const positions = this.#rules.flatMap(({ remotes }, at) => ((remotes?.has(identity) ?? true) ? [at] : []));
    const key = positions.join();
    let rules = this.#byRules.get(key);
    if (rules === undefined) {
      rules = new RemoteRules(positions.map((at) => this.#rules[at]!));
      this.#byRules.set(key, rules);
    }
    if (this.#remotes.size >= MAX_REMOTES) this.#remotes.clear();
    this.#remotes.set(identity, rules);
    return rules;
  }
}

/** Fewer rules are asked one by one. */
const WORTH_FINDING = 4;

/** The rules of a port that are about an identity. */
class RemoteRules {
  /** Of the first one. */
  readonly first: FilterVerdict | undefined;
  readonly looksAtTls: boolean;
  readonly #rules: readonly PortRule[];
  /** All HTTP rules in order; a rule without any stands as one that matches everything. */
  readonly #http: readonly HttpRule[];
  /** What it means that one of them allows. */
  readonly #verdicts: readonly FilterVerdict[];
  readonly #hasActions: boolean;
  #finder: RuleFinder | undefined;

  constructor(rules: readonly PortRule[]) {
    const verdictOf = ({ name }: PortRule): FilterVerdict => ({ allowed: true, matchedRule: name });
    this.first = rules[0] && verdictOf(rules[0]);
    this.#rules = rules;
    this.looksAtTls = rules.some(
      ({ serverNames, downstreamTls, upstreamTls }) => serverNames ?? downstreamTls ?? upstreamTls,
    );
    this.#http = rules.flatMap(({ http }) => http ?? [ANYTHING]);
    this.#verdicts = rules.flatMap((rule) => (rule.http ?? [ANYTHING]).map(() => verdictOf(rule)));
    this.#hasActions = this.#http.some(({ actions }) => actions.length > 0);
  }

  withName(name: string | undefined): readonly PortRule[] {
    return this.#rules.filter(
      ({ serverNames }) => serverNames?.some((matches) => name !== undefined && matches(name)) ?? true,
    );
  }

  /** The first rule that allows ends it, unless some have actions: then all are asked. @returns undefined if none allows */
  request(headers: RequestHeaderMap, log: HeaderLog): FilterVerdict | undefined {
    let verdict: FilterVerdict | undefined;
    if (this.#http.length < WORTH_FINDING) {
      for (let position = 0; position < this.#http.length; position++) {
        if (!ruleAllows(this.#http[position]!, headers, log)) continue;
        verdict ??= this.#verdicts[position]!;
        if (!this.#hasActions) return verdict;
      }
      return verdict;
    }
    this.#finder ??= new RuleFinder(this.#http);
    for (const position of this.#finder.candidates(headers)) {
      if (!ruleAllows(this.#http[position]!, headers, log)) continue;
      verdict ??= this.#verdicts[position]!;
      if (!this.#hasActions) return verdict;
    }
    return verdict;
  }
}

const ANYTHING: HttpRule = { matchers: [], actions: [], finder: undefined };
