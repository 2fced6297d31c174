// @ts-check
// What kernels look up of an axis: made here in float32, one rounding an operation, so that ties fall as on the server.

import { placeBetween, placeOnStage, tapsOfBorder, tapsOfPoint } from "../axes.js";
import { clamp } from "../numbers.js";

/** @typedef {{index: number[], weight: number[]}} Points some pixels of an axis and their weights */

/** Tables are words of four bytes: whole numbers, and the bits of floats. @param {number} length */
function words(length) {
  const whole = new Uint32Array(length);
  return { whole, floats: new Float32Array(whole.buffer) };
}

/** Interpolation from two pixels, (axis, 4): two indices less `start`, two weights. @param {Points[]} points @param {number} start */
export function tapTable(points, start) {
  const { whole, floats } = words(4 * points.length);
  points.forEach(({ index, weight }, i) => {
    whole.set([index[0] - start, index[1] - start], 4 * i);
    floats.set(weight, 4 * i + 2);
  });
  return whole;
}

/** Interpolation from K pixels each, (axis, 2 K): indices, weights. @param {Points[]} points */
export function pointTable(points) {
  const count = points[0].index.length;
  const { whole, floats } = words(2 * count * points.length);
  points.forEach(({ index, weight }, i) => {
    whole.set(index, 2 * count * i);
    floats.set(weight, 2 * count * i + count);
  });
  return whole;
}

/**
 * Pixels start..start+count of an axis of nOut over n latents, for attention: the nearest latent of each, its coordinates
 * relative to the window's latents (count, 2 radius + 1), and between which two it lies.
 * @param {number} nOut @param {number} n @param {number} start @param {number} count @param {number} radius
 */
export function stageAxis(nOut, n, start, count, radius) {
  const places = Array.from({ length: count }, (_, i) => placeOnStage(nOut, n, start + i, radius));
  return {
    nearest: places.map(({ nearest }) => nearest),
    relative: places.map(({ relative }) => relative),
    taps: places.map(({ taps }) => taps),
  };
}

/** @typedef {ReturnType<typeof stageAxis>} StageAxis */

/** Resampling from n pixels to points start..stop of a grid of nGrid. @param {number} n @param {number} nGrid @param {number} start @param {number} stop */
export const resampledAxis = (n, nGrid, start, stop) => Array.from({ length: stop - start }, (_, i) => tapsOfPoint(n, nGrid, start + i));

/** First and last pixel that is read, the last not inside. @param {Points[]} points @returns {[number, number]} */
export function spanOf(points) {
  let [low, high] = [Infinity, -Infinity];
  for (const { index } of points) {
    low = Math.min(low, ...index);
    high = Math.max(high, ...index);
  }
  return [low, high + 1];
}

/** For the ensemble: the two latents beside each pixel, and where it lies relative to them. @param {number} nOut @param {number} n @param {number} start @param {number} count */
export function ensembleAxis(nOut, n, start, count) {
  return Array.from({ length: count }, (_, i) => {
    const [low, high] = placeBetween(nOut, n, start + i);
    return { index: [low.nearest, high.nearest], weight: [low.relative, high.relative] };
  });
}

/** Bilinear interpolation of the picture. @param {number} nOut @param {number} n @param {number} start @param {number} count @returns {Points[]} */
export const linearAxis = (nOut, n, start, count) => Array.from({ length: count }, (_, i) => tapsOfBorder(nOut, n, start + i));

/** Keys' cubic, a = -0.5. @param {number} distance */
function cubic(distance) {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

/** Bicubic interpolation as PIL does it: cut off at the border, the rest sums to 1. @param {number} nOut @param {number} n @param {number} start @param {number} count @returns {Points[]} */
export function cubicAxis(nOut, n, start, count) {
  return Array.from({ length: count }, (_, i) => {
    const centre = (start + i + 0.5) * (n / nOut);
    const first = Math.max(Math.trunc(centre - 1.5), 0);
    const stop = Math.min(Math.trunc(centre + 2.5), n);
    const index = [0, 1, 2, 3].map((step) => first + step);
    const weight = index.map((at) => (at < stop ? cubic(at - centre + 0.5) : 0));
    const sum = weight.reduce((total, each) => total + each, 0);
    return { index: index.map((at) => clamp(at, 0, n - 1)), weight: weight.map((each) => each / sum) };
  });
}
