import type { Header, PacketTrace, TraceStep } from '@ciliate/replay';
import { renderReason } from './render_policy.ts';

const BYTES_A_LINE = 16;
const NAME_WIDTH = 8;

/** For people: numbered steps under the programs that take them, each with its bytes below. */
export function renderTrace({ from, bytes, headers, steps, end, after }: PacketTrace): string {
  const lines = [`${bytes} bytes from ${from}`, ...headers.flatMap((header) => headerLines(header, '  '))];
  let number = 0;
  for (const step of steps) {
    if (step.kind === 'program') {
      const whose = step.endpoint === 0 ? step.at : `${step.at}, endpoint ${step.endpoint}`;
      lines.push('', step.name.startsWith('the ') ? step.name : `${step.name} (${whose})`, '');
      continue;
    }
    const [first, ...more] = stepLines(step);
    number++;
    lines.push(`${`${number}.`.padEnd(4)}${first}`, ...more.map((line) => `    ${line}`));
  }
  lines.push('', `Result: ${end.text}`);
  if (end.kind !== 'dropped') lines.push(...after.flatMap((header) => headerLines(header, '  ')));
  lines.push('');
  return lines.join('\n');
}

function stepLines(step: Exclude<TraceStep, { kind: 'program' }>): string[] {
  switch (step.kind) {
    case 'map':
      return mapLines(step);
    case 'rewrite':
      return rewriteLines(step);
    case 'event':
      return [`${step.event}: ${step.text}`, ...named('struct', step.struct)];
    default: {
      const reason = 'policy' in step && step.policy !== undefined ? renderReason(step.policy) : [];
      const because = 'because' in step && step.because !== undefined ? [`because: ${step.because}`] : [];
      return [`=> ${step.text}`, ...reason, ...because];
    }
  }
}

function mapLines(step: Extract<TraceStep, { kind: 'map' }>): string[] {
  const { question, access, map, key, keyText, value, valueText, matched, matchedText, answer } = step;
  return [
    question,
    `${access} ${map}`,
    ...named('key', key, keyText),
    ...(matched === undefined ? [] : named('matches', matched, matchedText)),
    ...(value === undefined ? (access === 'lookup' ? ['value   no entry'] : []) : named('value', value, valueText)),
    ...(answer === '' ? [] : [answer]),
  ];
}

/** Only the headers in which something changed. */
function rewriteLines({ text, changes, before, after }: Extract<TraceStep, { kind: 'rewrite' }>): string[] {
  const changed = (headers: readonly Header[]): Header[] =>
    headers.filter(({ name }) => changes.some(({ header }) => header === name));
  return [
    text,
    ...changes.map(({ header, field, from, to }) => `${header} ${field}: ${from} -> ${to}`),
    ...changed(before).flatMap(({ name, hex }) => named('before', hex, name)),
    ...changed(after).flatMap(({ name, hex }) => named('after', hex, name)),
  ];
}

const headerLines = ({ name, text, hex }: Header, indent: string): string[] => [
  `${indent}${name.padEnd(10)}${text}`,
  ...hexLines(hex).map((line) => `${indent}${''.padEnd(10)}${line}`),
];

/** A name, what the bytes say if that is known, and the bytes. */
function named(name: string, hex: string, text?: string): string[] {
  const lines = text === undefined ? hexLines(hex) : [text, ...hexLines(hex)];
  return lines.map((line, i) => `${(i === 0 ? name : '').padEnd(NAME_WIDTH)}${line}`);
}

/** Two digits a byte, 16 bytes a line, a wider gap in the middle. */
function hexLines(hex: string): string[] {
  const bytes = hex.match(/../g) ?? [];
  const lines: string[] = [];
  for (let i = 0; i < bytes.length; i += BYTES_A_LINE) {
    const line = bytes.slice(i, i + BYTES_A_LINE);
    lines.push(
      [line.slice(0, 8), line.slice(8)]
        .filter((half) => half.length > 0)
        .map((half) => half.join(' '))
        .join('  '),
    );
  }
  return lines;
}
