// @ts-check
// Where two methods differ most, as clit/ui/differences.py finds it: places of the small picture, by the mean difference of
// brightness over each.

/** @import { DifferencePlace } from "./engine.js" */
/** @import { Size } from "./numbers.js" */

const SIDE = 24; // of a place, in pixels of the small picture
const COUNT = 5;
const LEAST = 0.01 / 255; // a smaller mean is what rounding makes of equal pictures
const SAMPLES = 65_536; // output pixels compared, about

/** How many rows and columns lie between two that are compared. @param {Size} size */
const chooseStep = ({ height, width }) => Math.max(1, Math.ceil(Math.sqrt((height * width) / SAMPLES)));

/** The indices of an axis that are compared. @param {number} n @param {number} step */
function sampled(n, step) {
  const first = Math.floor(((n - 1) % step) / 2);
  return Array.from({ length: Math.ceil((n - first) / step) }, (_, i) => first + i * step);
}

/**
 * The places with the largest mean, the largest first; no two overlap.
 * @param {Float32Array} one luma of a whole output @param {Float32Array} other @param {Size} size of it @param {Size} small
 * @returns {DifferencePlace[]}
 */
export function findPlaces(one, other, size, small) {
  const step = chooseStep(size);
  const middle = (at, n, nOut) => Math.floor(((2 * at + 1) * n) / (2 * nOut));
  const [total, count] = [new Float64Array(small.height * small.width), new Float64Array(small.height * small.width)];
  for (const row of sampled(size.height, step)) {
    const y = middle(row, small.height, size.height);
    for (const column of sampled(size.width, step)) {
      const cell = y * small.width + middle(column, small.width, size.width);
      const at = row * size.width + column;
      total[cell] += Math.abs(one[at] - other[at]);
      count[cell] += 1;
    }
  }
  const box = { height: Math.min(SIDE, small.height), width: Math.min(SIDE, small.width) };
  const counts = boxSums(count, small, box);
  const means = boxSums(total, small, box).map((each, i) => each / Math.max(counts[i], 1));
  return choosePlaces(means, small, box);
}

/** @param {Float64Array} means of all boxes; written over @param {Size} small @param {Size} box @returns {DifferencePlace[]} */
function choosePlaces(means, small, box) {
  const [rows, columns] = [small.height - box.height + 1, small.width - box.width + 1];
  const places = [];
  while (places.length < COUNT) {
    let best = 0;
    for (let i = 1; i < means.length; i += 1) if (means[i] > means[best]) best = i;
    if (means[best] < LEAST) break;
    const [top, left] = [Math.floor(best / columns), best % columns];
    places.push({ top, left, ...box, difference: 255 * means[best] });
    for (let y = Math.max(0, top - box.height + 1); y < Math.min(rows, top + box.height); y += 1) {
      const from = y * columns;
      means.fill(0, from + Math.max(0, left - box.width + 1), from + Math.min(columns, left + box.width));
    }
  }
  return places;
}

/** Sums over all boxes of a size. @param {Float64Array} values @param {Size} whole @param {Size} box @returns {Float64Array} */
function boxSums(values, { height, width }, box) {
  const wide = width + 1;
  const sums = new Float64Array((height + 1) * wide);
  for (let y = 0; y < height; y += 1) {
    let line = 0;
    for (let x = 0; x < width; x += 1) {
      line += values[y * width + x];
      sums[(y + 1) * wide + x + 1] = sums[y * wide + x + 1] + line;
    }
  }
  const [rows, columns] = [height - box.height + 1, width - box.width + 1];
  const out = new Float64Array(rows * columns);
  for (let y = 0; y < rows; y += 1) {
    for (let x = 0; x < columns; x += 1) {
      const [top, bottom] = [y * wide, (y + box.height) * wide];
      out[y * columns + x] = sums[bottom + x + box.width] - sums[top + x + box.width] - sums[bottom + x] + sums[top + x];
    }
  }
  return out;
}
