export interface Line {
  label: string;
  /** Its number among all lines of the page: colour and dashes follow from it. */
  style: number;
  /** In ascending x. */
  points: readonly (readonly [x: number, y: number])[];
}

export interface Axes {
  x: string;
  y: string;
  logX: boolean;
  logY: boolean;
}

const WIDTH = 960;
const HEIGHT = 420;
const PLOT = { left: 64, right: 700, top: 32, bottom: 372 } as const;
const COLOURS = [
  '#1f77b4',
  '#d62728',
  '#2ca02c',
  '#9467bd',
  '#ff7f0e',
  '#8c564b',
  '#17becf',
  '#7f7f7f',
  '#bcbd22',
  '#e377c2',
];

/** A line plot as one SVG element, with a legend. From the second round of colours on, lines are dashed. */
export function plot(lines: readonly Line[], axes: Axes): string {
  const points = lines.flatMap((line) => line.points).filter(([, y]) => y > 0);
  if (points.length === 0) return '<p>not measured</p>';
  const x = scale(
    points.map((point) => point[0]),
    axes.logX,
    PLOT.left,
    PLOT.right,
    (least, most, values) => (values.length <= 8 ? values : roundTicks(least, most, axes.logX)),
  );
  const y = scale(
    axes.logY ? points.map((point) => point[1]) : [0, ...points.map((point) => point[1])],
    axes.logY,
    PLOT.bottom,
    PLOT.top,
    (least, most) => roundTicks(least, most, axes.logY),
  );
  const text = (at: readonly [number, number], anchor: string, words: string): string =>
    `<text x="${at[0].toFixed(1)}" y="${at[1].toFixed(1)}" text-anchor="${anchor}" font-size="12">${escaped(words)}</text>`;
  const grid = [
    ...x.ticks.map((tick) => text([x.at(tick), PLOT.bottom + 18], 'middle', short(tick))),
    ...y.ticks.map(
      (tick) =>
        `<line x1="${PLOT.left}" x2="${PLOT.right}" y1="${y.at(tick).toFixed(1)}" y2="${y.at(tick).toFixed(1)}" stroke="#ddd"/>` +
        text([PLOT.left - 6, y.at(tick) + 4], 'end', short(tick)),
    ),
    text([(PLOT.left + PLOT.right) / 2, HEIGHT - 8], 'middle', axes.x),
    text([PLOT.left, PLOT.top - 16], 'start', axes.y),
  ];
  const drawn = lines.map((line, n) => {
    const colour = COLOURS[line.style % COLOURS.length]!;
    const dashes = line.style < COLOURS.length ? '' : ' stroke-dasharray="5 3"';
    const style = `stroke="${colour}" stroke-width="2" fill="none"${dashes}`;
    const path = line.points
      .filter((point) => point[1] > 0)
      .map(([px, py]) => `${x.at(px).toFixed(1)},${y.at(py).toFixed(1)}`);
    const dots = path.map((point) => `<circle cx="${point.replace(',', '" cy="')}" r="2.5" fill="${colour}"/>`);
    const row = PLOT.top + 8 + n * 16;
    return (
      `<polyline points="${path.join(' ')}" ${style}/>${dots.join('')}` +
      `<line x1="${PLOT.right + 16}" x2="${PLOT.right + 40}" y1="${row}" y2="${row}" ${style}/>` +
      text([PLOT.right + 46, row + 4], 'start', line.label)
    );
  });
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img">${grid.join('')}${drawn.join('')}</svg>`;
}

interface Scale {
  at(value: number): number;
  ticks: readonly number[];
}

type Ticks = (least: number, most: number, values: readonly number[]) => readonly number[];

function scale(values: readonly number[], isLog: boolean, from: number, to: number, ticks: Ticks): Scale {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const project = isLog ? Math.log : (value: number): number => value;
  const span = project(most) - project(least) || 1;
  const at = (value: number): number => from + ((project(value) - project(least)) / span) * (to - from);
  return {
    at,
    ticks: ticks(
      least,
      most,
      [...new Set(values)].sort((a, b) => a - b),
    ),
  };
}

/** Round numbers from `least` to `most`: 1, 2 and 5 times a power of ten, or of these what gives a handful. */
function roundTicks(least: number, most: number, isLog: boolean): number[] {
  const powers = Array.from({ length: 25 }, (_, n) => 10 ** (n - 9));
  const isWithin = (value: number): boolean => value >= least && value <= most;
  if (isLog) {
    const fine = powers.flatMap((power) => [power, 2 * power, 5 * power]).filter(isWithin);
    return fine.length <= 8 ? fine : powers.filter(isWithin);
  }
  const step = powers
    .flatMap((power) => [power, 2 * power, 5 * power])
    .find((candidate) => (most - least) / candidate <= 6)!;
  return Array.from({ length: 8 }, (_, n) => (Math.ceil(least / step) + n) * step).filter(isWithin);
}

/** 1,024 is 1k as a number of entries, so is 1,000. */
function short(value: number): string {
  const [kilo, mega] = value % 1024 === 0 ? [2 ** 10, 2 ** 20] : [1e3, 1e6];
  if (value >= mega) return `${Number((value / mega).toPrecision(3))}M`;
  if (value >= kilo) return `${Number((value / kilo).toPrecision(3))}k`;
  return String(Number(value.toPrecision(3)));
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
export const escaped = (text: string): string => text.replace(/[&<>"]/g, (sign) => ENTITIES[sign]!);
