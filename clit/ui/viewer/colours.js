// @ts-check
// Colours of maps: viridis for values, Oklab for directions.

import { clamp } from "./numbers.js";

// Viridis (Smith and van der Walt), made to be read by colour-blind eyes and in grey: nine colours, interpolated.
const VIRIDIS = [
  [68, 1, 84],
  [71, 44, 122],
  [59, 81, 139],
  [44, 113, 142],
  [33, 144, 141],
  [39, 173, 129],
  [92, 200, 99],
  [170, 220, 50],
  [253, 231, 37],
];

/** The whole scale, for a gradient of CSS. */
export const viridisStops = VIRIDIS.map((colour) => `rgb(${colour.join(" ")})`).join(", ");

/** @param {number} value in 0..1 */
export function viridis(value) {
  const at = clamp(value, 0, 1) * (VIRIDIS.length - 1);
  const low = Math.min(Math.floor(at), VIRIDIS.length - 2);
  const mixed = VIRIDIS[low].map((from, channel) => Math.round(from + (VIRIDIS[low + 1][channel] - from) * (at - low)));
  return `rgb(${mixed.join(" ")})`;
}

/** Oklab (Ottosson, 2020) -> sRGB in 0..255. @param {number} lightness @param {number} a @param {number} b */
function oklab(lightness, a, b) {
  const [l, m, s] = [
    lightness + 0.3963377774 * a + 0.2158037573 * b,
    lightness - 0.1055613458 * a - 0.0638541728 * b,
    lightness - 0.0894841775 * a - 1.291485548 * b,
  ].map((each) => each ** 3);
  const linear = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  return linear.map((value) => {
    const bound = clamp(value, 0, 1);
    return Math.round(255 * (bound <= 0.0031308 ? 12.92 * bound : 1.055 * bound ** (1 / 2.4) - 0.055));
  });
}

/** Draw the colours of directions, as `attention_colours` of the server makes them: a disc of the window's whole radius. @param {HTMLCanvasElement} canvas */
export function drawWheel(canvas) {
  const context = canvas.getContext("2d");
  const picture = context.createImageData(canvas.width, canvas.height);
  const radius = canvas.width / 2;
  for (let i = 0; i < canvas.height; i += 1) {
    for (let j = 0; j < canvas.width; j += 1) {
      const [dy, dx] = [(i + 0.5) / radius - 1, (j + 0.5) / radius - 1];
      const length = Math.hypot(dy, dx);
      if (length > 1) continue;
      const reached = Math.sqrt(length);
      const colour = oklab(0.25 + 0.5 * reached, (0.17 * reached * dx) / length, (-0.17 * reached * dy) / length);
      picture.data.set([...colour, 255], 4 * (i * canvas.width + j));
    }
  }
  context.putImageData(picture, 0, 0);
}
