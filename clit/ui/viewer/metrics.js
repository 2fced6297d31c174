// @ts-check
// PSNR and SSIM as clit/pictures/metrics.py has them, by its rule "benchmark": BT.601 luma, and a border of the scale left out.

/** @import { Size } from "./numbers.js" */

/** @typedef {Size & {values: Float32Array}} Picture colours in [0, 1], (height, width, 3) */

/** Of RGB in [0, 1]; together with the offset it spans 16/255 .. 235/255. */
const LUMA = [65.738, 129.057, 25.064].map((part) => part / 256);
const OFFSET = 16 / 255;

const HALF = 5; // of the Gaussian window of SSIM, without its middle
const SIGMA = 1.5;
const [C1, C2] = [0.01 ** 2, 0.03 ** 2];

/** @param {Float32Array} values colours in [0, 1] @returns {Float32Array} one for three */
export function luma(values) {
  const out = new Float32Array(values.length / 3);
  for (let i = 0, at = 0; i < out.length; i += 1, at += 3) {
    out[i] = LUMA[0] * values[at] + LUMA[1] * values[at + 1] + LUMA[2] * values[at + 2] + OFFSET;
  }
  return out;
}

/** Peak signal-to-noise ratio in dB of the mean of squares; null where nothing differs. @param {number} mean */
export const decibels = (mean) => (mean === 0 ? null : -10 * Math.log10(mean));

/** Mean of squares of the differences of two arrays. @param {ArrayLike<number>} a @param {ArrayLike<number>} b */
export function meanSquare(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += (a[i] - b[i]) ** 2;
  return sum / a.length;
}

/** How near a picture comes to its truth. @param {Picture} a @param {Picture} b @param {number} scale @returns {{psnr: number | null, psnr_rgb: number | null, ssim: number}} */
export function compare(a, b, scale) {
  const [one, other] = [a, b].map((each) => cropped(each, Math.ceil(scale)));
  const lumas = [luma(one.values), luma(other.values)];
  return {
    psnr: decibels(meanSquare(lumas[0], lumas[1])),
    psnr_rgb: decibels(meanSquare(one.values, other.values)),
    ssim: similarity(lumas[0], lumas[1], one),
  };
}

/** @param {Picture} picture @param {number} border @returns {Picture} */
function cropped({ height, width, values }, border) {
  const size = { height: height - 2 * border, width: width - 2 * border };
  const out = new Float32Array(3 * size.height * size.width);
  for (let y = 0; y < size.height; y += 1) {
    const from = 3 * ((y + border) * width + border);
    out.set(values.subarray(from, from + 3 * size.width), 3 * y * size.width);
  }
  return { ...size, values: out };
}

/** Structural similarity of two lumas (Wang et al., 2004): full Gaussian windows of 11 x 11. @param {Float32Array} a @param {Float32Array} b @param {Size} size */
function similarity(a, b, size) {
  const product = (one, other) => new Float64Array(one).map((each, i) => each * other[i]);
  const means = [a, b, product(a, a), product(b, b), product(a, b)].map((each) => windowMeans(each, size));
  const [meanA, meanB, squareA, squareB, both] = means;
  let sum = 0;
  for (let i = 0; i < meanA.length; i += 1) {
    const [first, second] = [meanA[i] ** 2, meanB[i] ** 2];
    const covariance = both[i] - meanA[i] * meanB[i];
    const top = (2 * meanA[i] * meanB[i] + C1) * (2 * covariance + C2);
    sum += top / ((first + second + C1) * (squareA[i] - first + squareB[i] - second + C2));
  }
  return sum / meanA.length;
}

const powers = Array.from({ length: 2 * HALF + 1 }, (_, i) => Math.exp(-0.5 * ((i - HALF) / SIGMA) ** 2));
const kernel = powers.map((each) => each / powers.reduce((total, power) => total + power, 0));

/** Gaussian means over the windows that lie inside. @param {ArrayLike<number>} values @param {Size} size @returns {Float64Array} */
function windowMeans(values, { height, width }) {
  const [rows, columns] = [height - 2 * HALF, width - 2 * HALF];
  const down = new Float64Array(rows * width);
  for (let k = 0; k < kernel.length; k += 1) {
    for (let i = 0; i < down.length; i += 1) down[i] += kernel[k] * values[i + k * width];
  }
  const out = new Float64Array(rows * columns);
  for (let y = 0; y < rows; y += 1) {
    for (let k = 0; k < kernel.length; k += 1) {
      for (let x = 0; x < columns; x += 1) out[y * columns + x] += kernel[k] * down[y * width + x + k];
    }
  }
  return out;
}
