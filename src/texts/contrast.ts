/** What WCAG 2.2 asks of text (1.4.3, level AA). */
const ENOUGH = 4.5;
const STEPS = 50;

type Rgb = readonly [number, number, number];

/** A colour, moved towards black or white until text in it can be read on a background. */
export function readableOn(background: string, color: string): string {
  const under = rgbOf(background);
  const goal: Rgb = luminance(under) > 0.5 ? [0, 0, 0] : [255, 255, 255];
  const from = rgbOf(color);
  for (let step = 0; step < STEPS; step += 1) {
    const mixed = mix(from, goal, step / STEPS);
    if (contrast(mixed, under) >= ENOUGH) return hexOf(mixed);
  }
  return hexOf(goal);
}

function rgbOf(hex: string): Rgb {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
  return [r, g, b];
}

function hexOf(rgb: Rgb): string {
  return `#${rgb.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
}

function mix(a: Rgb, b: Rgb, share: number): Rgb {
  const [red, green, blue] = a.map((value, i) => Math.round(value + ((b[i] ?? 0) - value) * share));
  return [red ?? 0, green ?? 0, blue ?? 0];
}

function contrast(a: Rgb, b: Rgb): number {
  const [dark = 0, light = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}

/** WCAG's relative luminance. */
function luminance(rgb: Rgb): number {
  const [r = 0, g = 0, b = 0] = rgb.map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
