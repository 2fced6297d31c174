// @ts-check
// Numbers per pixel as colours, as clit/ui/colours.py paints them: errors, and how a head attends.

import { direction, viridis } from "./colours.js";

/** @import { Window } from "./engine.js" */


const ERROR_TOP = 0.2; // error, of colours in [0, 1], that gets the brightest colour
const LEAST_SPAN = 0.1; // bits: rounding alone must not make a picture

/** How far a picture is from its truth: the mean absolute error of the channels. @param {Float32Array} values @param {Float32Array} truth @returns {Uint8Array} */
export function errorColours(values, truth) {
  const out = new Uint8Array(values.length);
  for (let at = 0; at < values.length; at += 3) {
    const error = [0, 1, 2].reduce((sum, channel) => sum + Math.abs(values[at + channel] - truth[at + channel]), 0) / 3;
    out.set(viridis(error / ERROR_TOP), at);
  }
  return out;
}

/**
 * One head's values of a survey (pixels, heads, 3), from 1; 0 is the mean of all.
 * @param {Float32Array} survey @param {number} head @param {number} heads @returns {Float32Array} (pixels, 3)
 */
export function selectHead(survey, head, heads) {
  const out = new Float32Array(survey.length / heads);
  for (let pixel = 0; pixel < out.length / 3; pixel += 1) {
    for (let part = 0; part < 3; part += 1) {
      const at = 3 * heads * pixel + part;
      if (head) out[3 * pixel + part] = survey[at + 3 * (head - 1)];
      else for (let each = 0; each < heads; each += 1) out[3 * pixel + part] += survey[at + 3 * each] / heads;
    }
  }
  return out;
}

/** Those of a window inside another. @param {Float32Array} values (pixels of `whole`, 3) @param {Window} whole @param {Window} window @returns {Float32Array} */
export function cutValues(values, whole, { top, left, height, width }) {
  const out = new Float32Array(3 * height * width);
  for (let y = 0; y < height; y += 1) {
    const from = 3 * ((top - whole.top + y) * whole.width + left - whole.left);
    out.set(values.subarray(from, from + 3 * width), 3 * y * width);
  }
  return out;
}

/** The entropies in bits that the colours span: the 1st and 99th percentile, at least a tenth of a bit apart. @param {Float32Array} values (pixels, 3) @returns {[number, number]} */
export function entropySpan(values) {
  const sorted = Float32Array.from({ length: values.length / 3 }, (_, pixel) => values[3 * pixel]).sort();
  const [low, high] = [0.01, 0.99].map((share) => {
    const at = share * (sorted.length - 1);
    const below = Math.floor(at);
    return sorted[below] + (at - below) * (sorted[Math.ceil(at)] - sorted[below]);
  });
  const margin = Math.max(0, LEAST_SPAN - (high - low)) / 2;
  return [low - margin, high + margin];
}

/** @param {Float32Array} values (pixels, 3) @param {[number, number]} span @returns {Uint8Array} */
export function entropyColours(values, [low, high]) {
  const out = new Uint8Array(values.length);
  for (let at = 0; at < values.length; at += 3) out.set(viridis((values[at] - low) / (high - low)), at);
  return out;
}

/** @param {Float32Array} values (pixels, 3) @param {number} radius of the window, the brightest @returns {Uint8Array} */
export function directionColours(values, radius) {
  const out = new Uint8Array(values.length);
  for (let at = 0; at < values.length; at += 3) out.set(direction(values[at + 1] / radius, values[at + 2] / radius), at);
  return out;
}
