import { BpfInputError, unknownName } from '../input_error.ts';
import { profile112, profile113 } from './hash.ts';
import { profile119 } from './precedence.ts';
import { profile117, profile118, profile118Cookie } from './priority.ts';
import type { Profile } from './profile.ts';
import { profile115, profile116 } from './six_steps.ts';

/** The releases whose policy maps differ, oldest first. Each is proved by vectors of that release's own code. */
export const PROFILES: readonly Profile[] = [
  profile112,
  profile113,
  profile115,
  profile116,
  profile117,
  profile118,
  profile118Cookie,
  profile119,
];

/** The vectors' name of the release that is modelled, 1.18.0-dev of May 2025. */
const ALIAS: Readonly<Record<string, string>> = { '1.18-dev': '1.18' };

/** Releases without vectors. */
const UNPROVED: Readonly<Record<string, string>> = {
  '1.14': 'said to decide as 1.15, but nothing proves it here; take 1.15',
  '1.20': 'asks for aggregate identities; nothing proves how',
};

/** @throws BpfInputError (BAD_INPUT), also for a release without proof */
export function profileByName(name: string): Profile {
  const wanted = ALIAS[name] ?? name;
  const found = PROFILES.find((profile) => profile.name === wanted);
  if (found !== undefined) return found;
  const unproved = UNPROVED[name];
  if (unproved !== undefined)
    throw new BpfInputError(`profile ${name} is not modelled: ${unproved}`, { profile: name });
  const known = PROFILES.map((profile) => profile.name);
  throw new BpfInputError(unknownName('profile', name, known), { profile: name });
}
