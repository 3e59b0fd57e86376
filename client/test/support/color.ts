/** Colours as red, green, blue (0 to 255) and opacity, and WCAG's contrast. */
export type Color = readonly number[];

/** `#rgb`, `#rrggbb`, `rgb()` and `rgba()`. */
export function parseColor(text: string): Color {
  const hex = /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.exec(text)?.[1];
  if (hex)
    return [...(hex.match(hex.length === 3 ? /./g : /../g) ?? [])].map((part) => parseInt(part.padEnd(2, part), 16));
  const parts = /^rgba?\(([^)]+)\)$/.exec(text)?.[1]?.split(',').map(Number);
  if (!parts || parts.length < 3 || parts.some(Number.isNaN)) throw new Error(`No colour: ${text}`);
  return parts;
}

/** What is seen of a translucent colour on an opaque one. */
export function over([r = 0, g = 0, b = 0, opacity = 1]: Color, below: Color): number[] {
  return [r, g, b].map((part, i) => part * opacity + (below[i] ?? 0) * (1 - opacity));
}

function luminance(color: Color): number {
  const [r = 0, g = 0, b = 0] = color.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** From 1 to 21. */
export function contrast(a: Color, b: Color): number {
  const [dark = 0, light = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}
