// @ts-check
// How a scale is split over a cascade's stages, and the grid of latents that each of them reads: clit/scale_chain.py.

import { roundHalfEven } from "../numbers.js";

/** @typedef {[number, number]} Pair along y, along x */

const STAGE_FACTOR = 4; // the largest of a stage in the published chain

/** @param {Pair} size @param {Pair} small @returns {Pair} of both axes one scale, where rounding that gives both sizes */
function axisFactors(size, small) {
  const ratios = /** @type {Pair} */ (size.map((n, axis) => n / small[axis]));
  const low = Math.max(...size.map((n, axis) => (n - 0.5) / small[axis]));
  const high = Math.min(...size.map((n, axis) => (n + 0.5) / small[axis]));
  return low <= high ? [Math.max(...ratios), Math.max(...ratios)] : ratios;
}

/** Factors of at most so many stages. @param {Pair} size @param {Pair} small @param {number} stages @param {string} chain @returns {Pair[]} */
export function splitScale(size, small, stages, chain) {
  const scales = axisFactors(size, small);
  const largest = Math.max(...scales);
  if (largest <= 1) return [[1, 1]];
  /** @type {number[]} */
  let factors = [];
  if (chain === "balanced") {
    const count = Math.min(stages, Math.max(1, Math.ceil(Math.log(largest) / Math.log(STAGE_FACTOR) - 1e-9)));
    factors = Array(count).fill(largest ** (1 / count));
  } else {
    let rest = largest;
    for (; rest > STAGE_FACTOR && factors.length < stages - 1; rest /= STAGE_FACTOR) factors.push(STAGE_FACTOR);
    factors.push(rest);
  }
  const split = (scale, factor) => (scale === largest ? factor : scale ** (Math.log(factor) / Math.log(largest)));
  return factors.map((factor) => [split(scales[0], factor), split(scales[1], factor)]);
}

/** The grid that each stage reads. @param {Pair} small @param {Pair[]} factors @returns {Pair[]} */
export function gridsOf(small, factors) {
  let product = [1, 1];
  return factors.map((factor) => {
    const grid = /** @type {Pair} */ (small.map((n, axis) => roundHalfEven(n * product[axis])));
    product = product.map((each, axis) => each * factor[axis]);
    return grid;
  });
}
