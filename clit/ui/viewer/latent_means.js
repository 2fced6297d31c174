// @ts-check
// Means over the pixels of each latent, as clit/ui/latents.py makes them: what is left of a map when its grid of pixels is
// taken away.

import { nearestLatent } from "./axes.js";

/** @import { Window } from "./engine.js" */
/** @import { Size } from "./numbers.js" */

/** The window grown until it holds all pixels of each latent that it touches. @param {Window} window @param {Size} size @param {[number, number]} grid @returns {Window} */
export function wholeLatents({ top, left, height, width }, size, grid) {
  const [first, last] = grown(size.height, grid[0], top, top + height);
  const [start, stop] = grown(size.width, grid[1], left, left + width);
  return { top: first, left: start, height: last - first, width: stop - start };
}

/** @param {number} nOut @param {number} n @param {number} from @param {number} to @returns {[number, number]} */
function grown(nOut, n, from, to) {
  while (from > 0 && nearestLatent(nOut, n, from - 1) === nearestLatent(nOut, n, from)) from -= 1;
  while (to < nOut && nearestLatent(nOut, n, to) === nearestLatent(nOut, n, to - 1)) to += 1;
  return [from, to];
}

/**
 * Each pixel of a window has the mean over all pixels of its latent.
 * @param {Float32Array} values (height, width, 3) @param {Window} window one that `wholeLatents` returns @param {Size} size
 * @param {[number, number]} grid @returns {Float32Array}
 */
export function meanOverLatents(values, { top, left, height, width }, size, grid) {
  const rows = Array.from({ length: height }, (_, y) => nearestLatent(size.height, grid[0], top + y) - nearestLatent(size.height, grid[0], top));
  const columns = Array.from({ length: width }, (_, x) => nearestLatent(size.width, grid[1], left + x) - nearestLatent(size.width, grid[1], left));
  const across = columns.at(-1) + 1;
  const [sums, counts] = [new Float64Array(3 * (rows.at(-1) + 1) * across), new Float64Array((rows.at(-1) + 1) * across)];
  const forPixels = (use) => rows.forEach((row, y) => columns.forEach((column, x) => use(row * across + column, y * width + x)));
  forPixels((latent, pixel) => {
    counts[latent] += 1;
    for (let part = 0; part < 3; part += 1) sums[3 * latent + part] += values[3 * pixel + part];
  });
  const out = new Float32Array(values.length);
  forPixels((latent, pixel) => {
    for (let part = 0; part < 3; part += 1) out[3 * pixel + part] = sums[3 * latent + part] / counts[latent];
  });
  return out;
}
