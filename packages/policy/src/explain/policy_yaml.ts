/** Plain data of a policy object. */
export type PolicyData = string | number | readonly PolicyData[] | { readonly [key: string]: PolicyData };

/** YAML in block style, as people write policies; everything that could be read as something else is quoted. */
export function policyYaml(data: { readonly [key: string]: PolicyData }): string {
  return `${linesOf(data).join('\n')}\n`;
}

function linesOf(data: PolicyData): string[] {
  if (typeof data === 'number') return [`${data}`];
  if (typeof data === 'string') return [scalar(data)];
  if (isList(data)) return data.flatMap((one) => linesOf(one).map((line, at) => `${at === 0 ? '- ' : '  '}${line}`));
  return Object.entries(data).flatMap(([key, value]) => {
    const lines = linesOf(value);
    if (typeof value !== 'object') return [`${scalar(key)}: ${lines[0]}`];
    if (lines.length === 0) return [`${scalar(key)}: ${isList(value) ? '[]' : '{}'}`];
    return [`${scalar(key)}:`, ...lines.map((line) => `  ${line}`)];
  });
}

const isList = (data: PolicyData): data is readonly PolicyData[] => Array.isArray(data);

const PLAIN = /^[A-Za-z_]([\w./:-]*[\w/])?$/;
const OTHER_THAN_TEXT = /^(true|false|yes|no|on|off|y|n|null)$/i;

/** JSON's quotes are YAML's. */
const scalar = (text: string): string =>
  PLAIN.test(text) && !OTHER_THAN_TEXT.test(text) ? text : JSON.stringify(text);
