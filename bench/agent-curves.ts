/** The CPU curves of the modes as one picture, a panel each on the same scale. */
const WIDTH = 900;
const PANEL = 120;
const LEFT = 60;
const TOP = 50;

const names: Readonly<Record<string, string>> = {
  A: 'A: burst every 30 s (the 300 s of the article, compressed ten times)',
  A1: 'A1: burst every second',
  B: 'B: paced, 100 records every 100 ms',
  C: 'C: summed at write time, spooled, paced (ours)',
};

/** Mean of each second: what is drawn thick over the samples of 100 ms. */
const seconds = (curve: readonly number[]): number[] => {
  const means: number[] = [];
  for (let i = 0; i + 10 <= curve.length; i += 10)
    means.push(curve.slice(i, i + 10).reduce((sum, value) => sum + value, 0) / 10);
  return means;
};

const points = (values: readonly number[], x: (i: number) => number, y: (value: number) => number): string =>
  values.map((value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`).join(' ');

const panel = (name: string, curve: readonly number[], top: number, scale: number): string => {
  const width = WIDTH - LEFT - 20;
  const y = (value: number): number => top + PANEL - 20 - (Math.min(value, scale) / scale) * (PANEL - 40);
  const x = (i: number): number => LEFT + (i / Math.max(1, curve.length - 1)) * width;
  const means = seconds(curve);
  const xs = (i: number): number => LEFT + ((i + 0.5) / means.length) * width;
  return [
    `<text x="${LEFT}" y="${top + 12}" font-weight="bold">${names[name] ?? name}</text>`,
    `<line x1="${LEFT}" y1="${y(0)}" x2="${LEFT + width}" y2="${y(0)}" stroke="#999"/>`,
    `<text x="${LEFT - 6}" y="${y(0) + 4}" text-anchor="end">0</text>`,
    `<text x="${LEFT - 6}" y="${y(scale) + 4}" text-anchor="end">${scale}%</text>`,
    `<polyline fill="none" stroke="#9db7d5" stroke-width="0.8" points="${points(curve, x, y)}"/>`,
    `<polyline fill="none" stroke="#1f4e8c" stroke-width="2" points="${points(means, xs, y)}"/>`,
  ].join('\n');
};

export function curvesSvg(
  curves: ReadonlyMap<string, readonly number[]>,
  { rate, tenants, seconds: length }: { rate: number; tenants: number; seconds: number },
): string {
  const highest = Math.max(...[...curves.values()].flat());
  const scale = Math.max(10, Math.ceil(highest / 10) * 10);
  const height = TOP + curves.size * PANEL + 10;
  const panels = [...curves].map(([name, curve], i) => panel(name, curve, TOP + i * PANEL, scale));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
    '<title>CPU of one metered service, published in four ways</title>',
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    `<text x="${LEFT}" y="20" font-size="15">CPU of one metered service, percent of a core: thin every 100 ms, thick every second</text>`,
    `<text x="${LEFT}" y="38">${tenants} tenants, ${rate} requests/s, 2 records a request, ${length} s in steady state</text>`,
    ...panels,
    '</svg>',
    '',
  ].join('\n');
}
