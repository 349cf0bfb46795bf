import {
  type Address,
  BPF_MAP_TYPE_LPM_TRIE,
  type BpfMap,
  keyDport,
  keyIdentity,
  keyIsEgress,
  keyPrefixlen,
  keyProtocol,
  NULL,
  POLICY_FULL_PREFIX_BITS,
  POLICY_KEY,
  POLICY_PROTOCOL_BITS,
  POLICY_STATIC_PREFIX_BITS,
  setPolicyKey,
} from '@ciliate/maps';
import type { LookupEngine, LookupEngineMaker } from '@ciliate/vm';
import {
  ANSWER,
  type EngineDefinition,
  type EngineEntry,
  type PolicyEngine,
  QUESTION,
  writeQuestion,
} from './engine.ts';
import { prefixBits } from './entry_key.ts';
import { BpfInputError } from './input_error.ts';
import { engineByName } from './registry.ts';

/** What an engine answers as proxy port has 16 bits, and 0 is none. */
const MAX_ENTRIES = 0xffff;
/** Where a key is written for the comparison with the map. */
const KEY = QUESTION.size + ANSWER.size;
const SCRATCH_BYTES = KEY + POLICY_KEY.size;

/**
 * Finds the entries of a policy map for compiled programs. A program asks for one identity at a time, and draws its own
 * conclusions from the entry: so the entries of named identities and those of any identity are two engines, and what they
 * answer as proxy port is the number of the entry. Left to the map: fragments, which ask with a key without port, and entries that
 * do not name an identity in full (Cilium's own tests have one that matches everything).
 */
class EngineUnderProgram implements LookupEngine {
  private readonly map: BpfMap;
  private readonly definition: EngineDefinition;
  private readonly scratch: Address;
  /** Addresses in the map, by number. */
  private values: Address[] = [];
  /** Whether there are entries of less than identity and direction: any other is longer. */
  private hasShort = false;
  private engines: { named: PolicyEngine; any: PolicyEngine } | undefined;

  constructor(map: BpfMap, definition: EngineDefinition) {
    if (map.type !== BPF_MAP_TYPE_LPM_TRIE || map.spec.keySize !== POLICY_KEY.size)
      throw new BpfInputError(`map ${map.spec.name} is no policy map: want an LPM trie with keys of 12 bytes`, {});
    this.map = map;
    this.definition = definition;
    this.scratch = map.memory.alloc(SCRATCH_BYTES);
  }

  /** @throws BpfInputError if the engine cannot hold what the map holds */
  lookup(key: Address): Address {
    const m = this.map.memory;
    if (keyPrefixlen(m, key) !== POLICY_FULL_PREFIX_BITS) return this.map.lookup(key);
    const engines = this.engines ?? this.build();
    const answer = this.scratch + QUESTION.size;
    const identity = keyIdentity(m, key);
    writeQuestion(m, this.scratch, identity, keyIsEgress(m, key), keyProtocol(m, key), keyDport(m, key), false);
    (identity === 0 ? engines.any : engines.named).lookup(this.scratch, answer);
    const number = m.u16[(answer + ANSWER.proxyPort) >> 1]!;
    if (number !== 0) return this.values[number]!;
    return this.hasShort ? this.map.lookup(key) : NULL;
  }

  changed(): void {
    this.engines?.named.destroy();
    this.engines?.any.destroy();
    this.engines = undefined;
  }

  private build(): NonNullable<EngineUnderProgram['engines']> {
    const { memory } = this.map;
    const all = [...this.map.entries()];
    const found = all.filter(({ key }) => keyPrefixlen(memory, key) >= POLICY_STATIC_PREFIX_BITS);
    this.hasShort = found.length < all.length;
    if (found.length > MAX_ENTRIES) throw this.refusal(`it has more than ${MAX_ENTRIES} entries`);
    this.values = [NULL, ...found.map(({ value }) => value)];
    const entries = found.map(({ key }, i) => this.entryOf(key, i + 1));
    const create = (isNamed: boolean): PolicyEngine => {
      const chosen = entries.filter(({ identity }) => (identity !== 0) === isNamed);
      return this.definition.create(memory, chosen, Math.max(chosen.length, 1));
    };
    this.engines = { named: create(true), any: create(false) };
    this.compare(entries);
    return this.engines;
  }

  private entryOf(key: Address, number: number): EngineEntry {
    const m = this.map.memory;
    const bits = keyPrefixlen(m, key) - POLICY_STATIC_PREFIX_BITS;
    const [protocol, dport] = [keyProtocol(m, key), keyDport(m, key)];
    const entry = {
      ...{ egress: keyIsEgress(m, key), identity: keyIdentity(m, key), protocol: bits === 0 ? 0 : protocol },
      ...{ dport: bits <= POLICY_PROTOCOL_BITS ? 0 : dport, portPrefixLen: Math.max(bits - POLICY_PROTOCOL_BITS, 0) },
      ...{ deny: false, proxyPort: number, proxyPortPriority: 0, authType: 0, hasExplicitAuth: false },
    };
    if (prefixBits(entry) !== bits)
      throw this.refusal(`it has an entry that no agent writes: ${bits} bits of protocol ${protocol}, port ${dport}`);
    return entry;
  }

  /** A structure of a release that knows no ranges, say, would answer otherwise than the map: that is refused. */
  private compare(entries: readonly EngineEntry[]): void {
    const key = this.scratch + KEY;
    for (const { identity, egress, protocol, dport } of edges(entries)) {
      setPolicyKey(this.map.memory, key, POLICY_FULL_PREFIX_BITS, identity, egress ? 1 : 0, protocol, dport);
      if (this.lookup(key) === this.map.lookup(key)) continue;
      this.changed();
      const asked = `identity ${identity}, ${egress ? 'egress' : 'ingress'}, protocol ${protocol}, port ${dport}`;
      throw this.refusal(
        `engine ${this.definition.name} (${this.definition.profile}) finds another entry for ${asked}`,
      );
    }
  }

  private refusal(text: string): BpfInputError {
    return new BpfInputError(`map ${this.map.spec.name}: ${text}`, { engine: this.definition.name });
  }
}

type Question = Pick<EngineEntry, 'identity' | 'egress' | 'protocol' | 'dport'>;

/** For each identity, direction and protocol: the first and last port of each stretch for which the map has one answer. */
function edges(entries: readonly EngineEntry[]): Question[] {
  const ports = new Map<string, { of: EngineEntry; dports: Set<number> }>();
  const OTHER_PROTOCOL = 255;
  for (const of of entries) {
    for (const protocol of of.protocol === 0 ? [OTHER_PROTOCOL] : [of.protocol, OTHER_PROTOCOL]) {
      const name = `${of.identity} ${of.egress} ${protocol}`;
      const group = ports.get(name) ?? { of: { ...of, protocol }, dports: new Set([0, 0xffff]) };
      ports.set(name, group);
      if (protocol !== of.protocol) continue;
      const size = 2 ** (16 - of.portPrefixLen);
      for (const port of [of.dport - 1, of.dport, of.dport + size - 1, of.dport + size])
        if (port >= 0 && port <= 0xffff) group.dports.add(port);
    }
  }
  return [...ports.values()].flatMap(({ of, dports }) => [...dports].map((dport) => ({ ...of, dport })));
}

/**
 * Puts a lookup engine of the registry under compiled programs that look up in a policy map: for `VmOptions.lookupEngines`.
 * @throws BpfInputError (BAD_INPUT) for an engine that is not known
 */
export function underProgram(engine: string): LookupEngineMaker {
  const definition = engineByName(engine);
  return (map) => new EngineUnderProgram(map, definition);
}
