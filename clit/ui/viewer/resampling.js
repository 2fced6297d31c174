// @ts-check
// Pictures made larger and smaller by plain interpolation, as clit/pictures/resize.py and the plain decoders do it: half-pixel
// centres, PIL's bicubic kernel (a = -0.5), which is stretched when shrinking and renormalised at the border.

import { placeInPixels } from "./axes.js";
import { clamp } from "./numbers.js";

/** @import { Size } from "./numbers.js" */
/** @import { Window } from "./engine.js" */

/** @typedef {Size & {rgb: Uint8Array}} Raster colours by rows, three bytes a pixel */

/** @typedef {{first: number, weight: Float64Array}[]} Taps for each pixel the first one read of the other axis, and weights from there on */

const PRECISION = 2 ** 22; // PIL rounds the weights of 8-bit images to this many parts

/** Keys' cubic convolution kernel. @param {number} x */
function cubic(x) {
  const far = Math.abs(x);
  if (far < 1) return (1.5 * far - 2.5) * far * far + 1;
  return far < 2 ? ((far - 5) * far + 8) * far * -0.5 + 2 : 0;
}

/** What makes pixels `start` to `stop` of an axis of nOut, of an axis of nIn. @param {number} nIn @param {number} nOut @param {number} start @param {number} stop @returns {Taps} */
export function cubicTaps(nIn, nOut, start, stop) {
  const ratio = nIn / nOut;
  const stretch = Math.max(ratio, 1);
  return Array.from({ length: stop - start }, (_, i) => {
    const centre = (start + i + 0.5) * ratio; // pixel i covers i .. i + 1
    const first = Math.max(Math.trunc(centre - 2 * stretch + 0.5), 0);
    const end = Math.min(Math.trunc(centre + 2 * stretch + 0.5), nIn);
    const weight = Float64Array.from({ length: end - first }, (_, k) => cubic((first + k - centre + 0.5) / stretch));
    const sum = weight.reduce((total, each) => total + each, 0);
    return { first, weight: weight.map((each) => each / sum) };
  });
}

/** The same of linear interpolation, which repeats the edge. @param {number} nIn @param {number} nOut @param {number} start @param {number} stop @returns {Taps} */
export function linearTaps(nIn, nOut, start, stop) {
  return Array.from({ length: stop - start }, (_, i) => {
    const position = clamp(placeInPixels(nOut, nIn, start + i), 0, nIn - 1);
    const first = Math.min(Math.floor(position), Math.max(nIn - 2, 0));
    const part = position - first;
    return { first, weight: nIn === 1 ? Float64Array.of(1) : Float64Array.of(1 - part, part) };
  });
}

/** A window of a picture enlarged to a size, colours in [0, 1] but for what bicubic overshoots. @param {Raster} picture @param {Size} size @param {Window} window @param {typeof cubicTaps} tapsOf @returns {Float32Array} (height, width, 3) */
export function enlarge(picture, size, window, tapsOf) {
  const { top, left, height, width } = window;
  const down = tapsOf(picture.height, size.height, top, top + height);
  const across = tapsOf(picture.width, size.width, left, left + width);
  const [first, last] = [down[0].first, down.at(-1).first + down.at(-1).weight.length];
  const source = { height: last - first, width: picture.width, values: picture.rgb.subarray(3 * first * picture.width, 3 * last * picture.width) };
  const wide = alongRows(source, across, (sum) => sum / 255);
  return alongColumns({ ...source, width, values: wide }, down, first, (sum) => sum, new Float32Array(3 * height * width));
}

/**
 * A window of a picture of 8 bits made smaller as PIL does it: along the width first, and rounded after each pass.
 * @param {Raster} part the rows and columns of the picture that are at hand, at `top` and `left` of it
 * @param {Size} whole of the picture @param {Size} size of the whole small one @param {Window} window of that
 * @param {{top: number, left: number}} [corner] of the part
 * @returns {Raster}
 */
export function shrink(part, whole, size, window, corner = { top: 0, left: 0 }) {
  const { top, left, height, width } = window;
  const across = moved(cubicTaps(whole.width, size.width, left, left + width), corner.left);
  const down = cubicTaps(whole.height, size.height, top, top + height);
  const values = alongRows({ ...part, values: part.rgb }, across.map(rounded), toByte);
  const rgb = alongColumns({ height: part.height, width, values }, down.map(rounded), corner.top, toByte, new Uint8Array(3 * height * width));
  return { height, width, rgb };
}

/** The part of a picture of `whole` that `shrink` reads for a window. @param {Size} whole @param {Size} size @param {Window} window @returns {Window} */
export function shrinkReads(whole, size, { top, left, height, width }) {
  const [rows, columns] = [
    cubicTaps(whole.height, size.height, top, top + height),
    cubicTaps(whole.width, size.width, left, left + width),
  ];
  const [first, start] = [rows[0].first, columns[0].first];
  const end = (taps) => taps.at(-1).first + taps.at(-1).weight.length;
  return { top: first, left: start, height: end(rows) - first, width: end(columns) - start };
}

/** @param {Taps} taps @param {number} by @returns {Taps} */
const moved = (taps, by) => taps.map(({ first, weight }) => ({ first: first - by, weight }));

/** Weights as PIL has them for 8 bits. @param {Taps[number]} tap @returns {Taps[number]} */
const rounded = ({ first, weight }) => ({ first, weight: weight.map((each) => Math.trunc(each * PRECISION + Math.sign(each) * 0.5) / PRECISION) });

/** @param {number} value 0..255 */
const toByte = (value) => clamp(Math.floor(value + 0.5), 0, 255);

/** Each row by the taps of the columns. @param {Size & {values: ArrayLike<number>}} source @param {Taps} across @param {(sum: number) => number} end @returns {Float32Array} */
function alongRows({ height, width, values }, across, end) {
  const out = new Float32Array(3 * height * across.length);
  for (let y = 0, at = 0; y < height; y += 1) {
    for (const { first, weight } of across) {
      for (let channel = 0; channel < 3; channel += 1, at += 1) {
        let sum = 0;
        for (let k = 0, from = 3 * (y * width + first) + channel; k < weight.length; k += 1, from += 3) sum += weight[k] * values[from];
        out[at] = end(sum);
      }
    }
  }
  return out;
}

/**
 * Each column by the taps of the rows, which count from `top` on.
 * @template {Float32Array | Uint8Array} T
 * @param {Size & {values: ArrayLike<number>}} source @param {Taps} down @param {number} top @param {(sum: number) => number} end @param {T} out
 */
function alongColumns({ width, values }, down, top, end, out) {
  const line = new Float64Array(3 * width);
  down.forEach(({ first, weight }, row) => {
    line.fill(0);
    for (let k = 0; k < weight.length; k += 1) {
      const from = 3 * width * (first - top + k);
      for (let i = 0; i < line.length; i += 1) line[i] += weight[k] * values[from + i];
    }
    for (let i = 0; i < line.length; i += 1) out[3 * width * row + i] = end(line[i]);
  });
  return out;
}
