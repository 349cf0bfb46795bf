import { type Address, type BpfMap, type Memory, NULL, Scratch } from '@ciliate/maps';
import {
  DROP_FRAG_NOSUPPORT,
  DROP_INVALID,
  DROP_POLICY,
  DROP_POLICY_AUTH_REQUIRED,
  DROP_POLICY_DENY,
} from '../../lib/drop_reasons.ts';
import type { EngineEntry } from '../engine.ts';
import { BpfInputError } from '../input_error.ts';
import { createProfileMap } from '../map_engine.ts';
import { type Lookup, type Profile, ProfileVerdict } from '../profiles/profile.ts';
import { profileByName } from '../profiles/profiles.ts';
import { askProfile, type PolicyQuestion } from '../profiles/question.ts';
import { Reference } from '../reference.ts';
import type { VectorAnswer, VectorCase, VectorEntry, VectorLookup } from './vector.ts';

/** One lookup on which somebody disagrees with the release. */
export interface Disagreement {
  /** The case's name, and the index of the lookup in it. */
  name: string;
  lookup: number;
  release: VectorAnswer;
  /** The profile's function on the case's bytes. */
  profile: VectorAnswer;
  /** The linear reference on its decoded entries. */
  reference: VectorAnswer;
}

export interface VectorResult {
  lookups: number;
  agreed: number;
  disagreements: Disagreement[];
}

/** A map that notes what each lookup found. */
class RecordingMap implements Lookup {
  readonly found: Address[] = [];
  private readonly map: BpfMap;

  constructor(map: BpfMap) {
    this.map = map;
  }

  lookup(key: Address): Address {
    const value = this.map.lookup(key);
    this.found.push(value);
    return value;
  }
}

/**
 * Asks a case of both implementations of its profile: the policy function on a real map that holds the case's raw
 * bytes, and the linear reference on its decoded entries. A lookup agrees if both give every output the release gave.
 */
export class VectorRunner {
  private readonly memory: Memory;
  private readonly key: Address;
  private readonly value: Address;
  private readonly out = new ProfileVerdict();

  constructor(memory: Memory) {
    this.memory = memory;
    const scratch = Scratch.create(memory, 64);
    this.key = scratch.take(16);
    this.value = scratch.take(32);
  }

  /** @param where for messages. @throws BpfInputError: no such profile, bytes of another layout, two entries of one key */
  run(vector: VectorCase, where: string): VectorResult {
    const profile = this.profileOf(vector, where);
    const reference = new Reference(profile.name);
    for (const entry of vector.entries) reference.update(engineEntry(entry));
    const map = createProfileMap(this.memory, profile, Math.max(1, vector.entries.length));
    try {
      this.fill(map, profile, vector, where);
      const indexes = new Map(vector.entries.map((entry, i) => [this.find(map, entry), i]));
      if (indexes.size < vector.entries.length || reference.entries.length < vector.entries.length)
        throw new BpfInputError(`${where}: entries: two have the same key`, { where });
      const result: VectorResult = { lookups: vector.lookups.length, agreed: 0, disagreements: [] };
      for (const [lookup, asked] of vector.lookups.entries()) {
        const question = questionOf(asked, vector.icmp === 'on');
        const recording = new RecordingMap(map);
        const ret = askProfile(this.memory, profile, recording, this.key, question, this.out);
        const hits = recording.found.map((value) => (value === NULL ? -1 : (indexes.get(value) ?? -1)));
        const said = reference.ask(question);
        const release = asked.expect;
        const profileSays = vectorAnswer({ ...this.out, ret, hits }, release, profile);
        const referenceHits = said.hits.map((entry) => (entry ? reference.entries.indexOf(entry) : -1));
        const referenceSays = vectorAnswer({ ...said, hits: referenceHits }, release, profile);
        if (isSame(release, profileSays) && isSame(release, referenceSays)) result.agreed++;
        else {
          const sides = { release, profile: profileSays, reference: referenceSays };
          result.disagreements.push({ name: vector.name, lookup, ...sides });
        }
      }
      return result;
    } finally {
      map.destroy();
    }
  }

  private profileOf({ profile }: VectorCase, where: string): Profile {
    try {
      return profileByName(profile);
    } catch (cause) {
      throw new BpfInputError(`${where}: ${(cause as Error).message}`, { where }, cause);
    }
  }

  private fill(map: BpfMap, profile: Profile, vector: VectorCase, where: string): void {
    for (const [i, entry] of vector.entries.entries()) {
      this.put(entry.key, this.key, profile.keySize, `${where}: entries[${i}].key: profile ${profile.name}`);
      this.put(entry.value, this.value, profile.valueSize, `${where}: entries[${i}].value: profile ${profile.name}`);
      if (map.update(this.key, this.value) !== 0)
        throw new BpfInputError(`${where}: entries[${i}].key: no key of this map: ${entry.key}`, { where });
    }
  }

  private put(hex: string, at: Address, size: number, where: string): void {
    if (hex.length !== 2 * size)
      throw new BpfInputError(`${where} has ${size} bytes there, not ${hex.length / 2}`, { where });
    for (let i = 0; i < size; i++) this.memory.u8[at + i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  }

  /** Address of the value in the map. */
  private find(map: BpfMap, entry: VectorEntry): Address {
    this.put(entry.key, this.key, entry.key.length / 2, '');
    return map.lookup(this.key);
  }
}

/** The decoded fields of a vector's entry. */
export const engineEntry = (entry: VectorEntry): EngineEntry => ({
  egress: entry.dir === 'egress',
  identity: entry.identity,
  protocol: entry.protocol,
  dport: entry.dport,
  portPrefixLen: entry.portPrefixLen ?? (entry.dport === 0 ? 0 : 16),
  deny: entry.deny,
  proxyPort: entry.proxyPort,
  proxyPortPriority: entry.proxyPortPriority ?? 0,
  authType: entry.authType ?? 0,
  hasExplicitAuth: entry.authExplicit ?? false,
  precedence: entry.precedence ?? 0,
  cookie: entry.cookie ?? 0,
});

/** @param icmpRules whether the function was compiled with them */
export function questionOf(asked: VectorLookup, icmpRules: boolean): PolicyQuestion {
  const isIcmp = asked.icmpType !== undefined || asked.truncated === true;
  const icmp = asked.truncated ? 'truncated' : { type: asked.icmpType ?? 0, code: asked.icmpCode ?? 0 };
  return {
    egress: asked.dir === 'egress',
    identity: asked.remoteIdentity,
    protocol: asked.protocol,
    dport: asked.dport,
    isFragment: asked.fragment,
    family: asked.family,
    ...(icmpRules && isIcmp && { icmp }),
    hasSkipMark: asked.skipMark ?? false,
  };
}

interface Said {
  ret: number;
  proxyPort: number;
  matchType: number;
  authType: number;
  cookie: number;
  hits: number[];
}

/** In the vectors' words; with those of the optional outputs that the release has. */
function vectorAnswer(said: Said, expected: VectorAnswer, profile: Profile): VectorAnswer {
  const { ret, proxyPort, matchType, hits, authType, cookie } = said;
  return {
    ret,
    verdict: verdictName(ret, proxyPort),
    proxyPort,
    matchType,
    lookups: hits.length,
    hits,
    ...((profile.knows.auth || expected.extErr !== undefined) && { extErr: authType }),
    ...((profile.knows.cookie || expected.cookie !== undefined) && { cookie: cookie >>> 0 }),
  };
}

const VERDICTS: Readonly<Record<number, string>> = {
  [DROP_POLICY]: 'denied-default',
  [DROP_INVALID]: 'invalid',
  [DROP_FRAG_NOSUPPORT]: 'frag-nosupport',
  [DROP_POLICY_DENY]: 'deny',
  [DROP_POLICY_AUTH_REQUIRED]: 'auth-required',
};
const verdictName = (ret: number, proxyPort: number): string =>
  ret < 0 ? (VERDICTS[ret] ?? `${ret}`) : proxyPort === 0 ? 'allow' : 'redirect';

const OUTPUTS = ['ret', 'verdict', 'proxyPort', 'matchType', 'lookups', 'extErr', 'cookie'] as const;
const isSame = (expected: VectorAnswer, actual: VectorAnswer): boolean =>
  OUTPUTS.every((output) => expected[output] === actual[output]) &&
  expected.hits.length === actual.hits.length &&
  expected.hits.every((hit, i) => hit === actual.hits[i]);
