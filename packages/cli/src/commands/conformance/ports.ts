import { PROTOCOL_NUMBERS, portRangeToPrefixes } from '@ciliate/policy';
import type { Command } from 'commander';
import { Fields } from '../../conformance/fields.ts';
import { documentOf } from '../../conformance/files.ts';
import { JSON_DOCUMENT, setCommand } from '../../conformance/set_command.ts';

interface MaskedPort {
  port: number;
  mask: number;
  prefix_len: number;
}

export function portsSet(): Command {
  const description = 'port ranges as prefixes, and numbers of protocols';
  return setCommand('ports', { description, files: JSON_DOCUMENT }, (file, tally) => {
    const facts = new Fields(documentOf(file), file);
    tally.case();
    for (const vector of facts.all('vectors')) {
      const [start, end] = [vector.whole('start'), vector.whole('end')];
      const ours = portRangeToPrefixes(start, end).map(({ port, prefixLen }) => ({
        port,
        mask: (0xffff << (16 - prefixLen)) & 0xffff,
        prefix_len: prefixLen,
      }));
      tally.check('port range', `${file}: ${start}-${end}`, ours, sorted(vector.raw('masked_in_returned_order')));
    }
    for (const protocol of facts.object('u8proto').all('names')) {
      const name = protocol.text('name');
      const ours = PROTOCOL_NUMBERS[name.toUpperCase() as keyof typeof PROTOCOL_NUMBERS];
      tally.check('protocol', `${file}: ${name}`, ours, protocol.raw('number'));
    }
  });
}

/** Their order means nothing. */
const sorted = (prefixes: unknown): unknown =>
  Array.isArray(prefixes) ? (prefixes as MaskedPort[]).toSorted((a, b) => a.port - b.port) : prefixes;
