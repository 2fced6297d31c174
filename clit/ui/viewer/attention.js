// @ts-check
// What a pixel looked at, computed here: for a page without a server. The mathematics is that of the decoders in
// clit/networks: LIT's and CLIT's weights from the embedded features and the convolutions that make q and k of them,
// LIIF's and LTE's from distance alone.

import { placeBetween, placeOnStage, tapsOfPoint } from "./axes.js";

/** @import { Stage } from "./engine.js" */
/** @import { Size } from "./numbers.js" */
/** @import { Taps } from "./axes.js" */

/**
 * What LIT's or CLIT's attention is computed from. `z` is (rows, columns, width) over `region` of the small picture,
 * weights are (3, 3, width, width): row, column, from, to.
 * @typedef {object} Source
 * @property {number} heads
 * @property {number} radius
 * @property {number} width channels
 * @property {[number, number, number, number]} region top, left, rows, columns
 * @property {Float32Array} z
 * @property {Float32Array} frequencies
 * @property {Float32Array} position (heads, 4 times the frequencies)
 * @property {Float32Array} positionBias
 * @property {StageSource[]} stages
 */

/** @typedef {{weight: Float32Array, bias: Float32Array}} Convolution */

/** @typedef {{grid: [number, number], query: Convolution, key: Convolution, known: Map<string, Float32Array>}} StageSource */

const MOST_KNOWN = 8000; // latents whose vectors are kept

/** @param {string} base64 */
function readBytes(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return new DataView(bytes.buffer);
}

/** @param {string} base64 little-endian float32 */
function readFloats(base64) {
  const bytes = readBytes(base64);
  return Float32Array.from({ length: bytes.byteLength / 4 }, (_, i) => bytes.getFloat32(4 * i, true));
}

/** @param {string} base64 little-endian float16 */
function readHalves(base64) {
  const bytes = readBytes(base64);
  return Float32Array.from({ length: bytes.byteLength / 2 }, (_, i) => halfAt(bytes.getUint16(2 * i, true)));
}

/** @param {number} bits of a float16 */
function halfAt(bits) {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const size = exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024);
  return bits >> 15 ? -size : size;
}

/** @param {any} sent as the server describes a source @returns {Source} */
export function readSource(sent) {
  const z = readHalves(sent.z);
  const [, , rows, columns] = sent.region;
  return {
    heads: sent.heads,
    radius: sent.radius,
    width: z.length / (rows * columns),
    region: sent.region,
    z,
    frequencies: readFloats(sent.frequencies),
    position: readFloats(sent.position),
    positionBias: readFloats(sent.position_bias),
    stages: sent.stages.map((stage) => ({
      grid: stage.grid,
      query: { weight: readHalves(stage.query), bias: readFloats(stage.query_bias) },
      key: { weight: readHalves(stage.key), bias: readFloats(stage.key_bias) },
      known: new Map(),
    })),
  };
}

/** What is known of a latent, or made now. @param {StageSource} stage @param {string} kind @param {number} y @param {number} x @param {() => Float32Array} make */
function recall({ known }, kind, y, x, make) {
  const name = `${kind} ${y} ${x}`;
  let found = known.get(name);
  if (!found) {
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(name, (found = make()));
  }
  return found;
}

/** z at a point of a stage's grid; zero outside the grid. @param {Source} source @param {StageSource} stage @param {Size} small @param {number} y @param {number} x */
function embedded(source, stage, small, y, x) {
  return recall(stage, "z", y, x, () => {
    const { width, z, region } = source;
    const [top, left, , columns] = region;
    const out = new Float32Array(width);
    const [down, across] = [tapsOfPoint(small.height, stage.grid[0], y), tapsOfPoint(small.width, stage.grid[1], x)];
    forTaps(down, across, (row, column, weight) => {
      const from = ((row - top) * columns + column - left) * width;
      for (let c = 0; c < width; c += 1) out[c] += weight * z[from + c];
    });
    return out;
  });
}

/** @param {Taps} down @param {Taps} across @param {(row: number, column: number, weight: number) => void} use */
function forTaps(down, across, use) {
  for (const i of [0, 1]) {
    for (const j of [0, 1]) {
      const weight = down.weight[i] * across.weight[j];
      if (weight) use(down.index[i], across.index[j], weight);
    }
  }
}

/** q or k of a latent of a stage: zero outside its grid. @param {Source} source @param {StageSource} stage @param {"query" | "key"} kind @param {Size} small @param {number} y @param {number} x */
function vectorAt(source, stage, kind, small, y, x) {
  return recall(stage, kind, y, x, () => {
    const { width } = source;
    const { weight, bias } = stage[kind];
    if (y < 0 || x < 0 || y >= stage.grid[0] || x >= stage.grid[1]) return new Float32Array(width);
    const out = Float64Array.from(bias);
    for (let tap = 0; tap < 9; tap += 1) {
      const from = embedded(source, stage, small, y + Math.floor(tap / 3) - 1, x + (tap % 3) - 1);
      for (let c = 0; c < width; c += 1) {
        const [value, at] = [from[c], (tap * width + c) * width];
        for (let o = 0; o < width; o += 1) out[o] += value * weight[at + o];
      }
    }
    return Float32Array.from(out);
  });
}

/** What a neighbour's place along one axis adds to each head's logit. @param {Pick<Source, "heads" | "frequencies" | "position" | "positionBias">} source @param {number} relative @param {0 | 1} axis */
export function positionPart({ heads, frequencies, position, positionBias }, relative, axis) {
  const count = frequencies.length;
  const sums = Array.from({ length: heads }, (_, head) => (axis ? 0 : positionBias[head]));
  for (let j = 0; j < count; j += 1) {
    const angle = Math.fround(relative * frequencies[j]);
    const [sine, cosine] = [Math.sin(angle), Math.cos(angle)];
    for (let head = 0; head < heads; head += 1) {
      const at = head * 4 * count + axis * count + j;
      sums[head] += sine * position[at] + cosine * position[at + 2 * count];
    }
  }
  return sums;
}

/** @param {number[][]} logits @returns {number[][]} */
function softmax(logits) {
  const largest = Math.max(...logits.flat());
  const powers = logits.map((line) => line.map((each) => Math.exp(each - largest)));
  const sum = powers.flat().reduce((total, each) => total + each, 0);
  return powers.map((line) => line.map((each) => each / sum));
}

/** What output pixel (row, column) looked at by LIT or CLIT: one stage after the other. @param {Source} source @param {Size} small @param {Size} size of the output @param {number} row @param {number} column @returns {Stage[]} */
export const attend = (source, small, size, row, column) =>
  source.stages.map((stage) => attendStage(source, stage, small, size, row, column));

function attendStage(source, stage, small, size, row, column) {
  const { heads, radius, width } = source;
  const part = width / heads;
  const down = placeOnStage(size.height, stage.grid[0], row, radius);
  const across = placeOnStage(size.width, stage.grid[1], column, radius);
  const query = new Float64Array(width);
  forTaps(down.taps, across.taps, (y, x, weight) => {
    const from = vectorAt(source, stage, "query", small, y, x);
    for (let c = 0; c < width; c += 1) query[c] += weight * from[c];
  });
  const side = Array.from({ length: 2 * radius + 1 }, (_, i) => i - radius);
  const [rows, columns] = [side.map((step) => down.nearest + step), side.map((step) => across.nearest + step)];
  const along = [down.relative.map((each) => positionPart(source, each, 0)), across.relative.map((each) => positionPart(source, each, 1))];
  const keys = rows.map((y) => columns.map((x) => vectorAt(source, stage, "key", small, y, x)));
  const ofHeads = (make) => Array.from({ length: heads }, (_, head) => side.map((_, i) => side.map((_, j) => make(head, i, j))));
  const content = ofHeads((head, i, j) => {
    let sum = 0;
    for (let c = head * part; c < (head + 1) * part; c += 1) sum += query[c] * keys[i][j][c];
    return sum / Math.sqrt(part);
  });
  const position = ofHeads((head, i, j) => along[0][i][head] + along[1][j][head]);
  const weights = content.map((lines, head) => softmax(lines.map((line, i) => line.map((each, j) => each + position[head][i][j]))));
  return { weights, content, position, ...latentsAt(rows, columns, stage.grid, small) };
}

/** What output pixel (row, column) looked at by LIIF or LTE: four latents, by the areas opposite. @param {Size} small @param {Size} size of the output @param {number} row @param {number} column @returns {Stage[]} */
export function attendByDistance(small, size, row, column) {
  const f = Math.fround;
  const down = placeBetween(size.height, small.height, row);
  const across = placeBetween(size.width, small.width, column);
  const area = down.map((y) => across.map((x) => f(Math.abs(f(y.relative * x.relative)) + f(1e-9))));
  const sum = f(f(f(area[0][0] + area[0][1]) + area[1][0]) + area[1][1]);
  const weights = [[0, 1].map((i) => [0, 1].map((j) => f(area[1 - i][1 - j] / sum)))];
  const [rows, columns] = [down.map((each) => each.nearest), across.map((each) => each.nearest)];
  return [{ weights, content: null, position: null, ...latentsAt(rows, columns, [small.height, small.width], small) }];
}

/** @param {number[]} rows @param {number[]} columns @param {[number, number]} grid @param {Size} small */
export function latentsAt(rows, columns, grid, small) {
  const inPixels = (index, n, all) => ((index + 0.5) * all) / n - 0.5;
  /** @type {[number, number][][]} */
  const latents = rows.map((y) => columns.map((x) => [inPixels(y, grid[0], small.height), inPixels(x, grid[1], small.width)]));
  const inside = rows.map((y) => columns.map((x) => y >= 0 && x >= 0 && y < grid[0] && x < grid[1]));
  return { latents, inside, grid, influence: null };
}
