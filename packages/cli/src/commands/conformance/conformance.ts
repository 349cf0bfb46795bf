import { Command } from 'commander';
import { datapathSet } from './datapath.ts';
import { fqdnSet } from './fqdn.ts';
import { httpSet } from './http.ts';
import { kafkaSet } from './kafka.ts';
import { labelsSet } from './labels.ts';
import { maglevSet } from './maglev.ts';
import { conflictsSet, incrementalSet, policySet } from './policy.ts';
import { portsSet } from './ports.ts';
import { profilesSet } from './profiles.ts';
import { validationSet } from './validation.ts';

/** Each set of vectors is a command of its own: what the real implementation answered, asked again here. */
export function conformanceCommand(): Command {
  const command = new Command('conformance').description(
    'compare with what the real implementation answered; exit 0 only if everything agrees',
  );
  const sets = [
    policySet,
    incrementalSet,
    conflictsSet,
    validationSet,
    labelsSet,
    portsSet,
    fqdnSet,
    httpSet,
    kafkaSet,
    datapathSet,
    maglevSet,
    profilesSet,
  ];
  for (const set of sets) command.addCommand(set());
  return command;
}
