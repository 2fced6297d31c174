// @ts-check
// Local attention of a chunk of pixels, up to the first layer of the MLP: its weights, the local Fourier features, and what
// the first layer makes of the weighted values.
//
// Shapes: a chunk has G groups of N pixels and up to 8 latents (groups.js); P = (2r+1)^2 latents of a window, M heads of
// d = 4 d4 channels, D = M d, F frequencies, H = 4 hidden4 widths of the hidden layers. maps (rows, columns, 3 D + 4 F) are
// q, k, v, the amplitudes of cosines and of sines, the frequencies along y and along x, side by side.

import { EMPTY, LATENTS } from "./groups.js";
import { bindings, unroll, WAVES } from "./wgsl.js";

/**
 * @typedef {object} Widths
 * @property {number} pixels N, of a group
 * @property {number} side 2r+1
 * @property {number} heads
 * @property {number} d4
 * @property {number} fourier4 F / 4
 * @property {number} hidden4
 */

export const ATTEND_THREADS = 64;

/** @param {Pick<Widths, "heads" | "d4" | "fourier4">} widths */
const mapsWidth = ({ heads, d4, fourier4 }) => 3 * heads * d4 + 4 * fourier4;

/** Where pixel `i` of a chunk lies: its slot, unless that is empty, and its latent's window in the maps. @param {Pick<Widths, "heads" | "d4" | "fourier4">} widths */
const findPixel = ({ heads, d4, fourier4 }) => `
  let slot = slots[sizes.first * sizes.pixels + i];
  if (slot == ${EMPTY}u) { return; }
  let row = slot / ${LATENTS}u / sizes.columns;
  let column = slot / ${LATENTS}u % sizes.columns;
  let window = bases[(sizes.first + i / sizes.pixels) * ${LATENTS}u + slot % ${LATENTS}u] * ${mapsWidth({ heads, d4, fourier4 })}u;`;

const CHUNK = "first: u32, count: u32, rows: u32, columns: u32, width: u32, scale: f32, pixels: u32"; // groups before it, its pixels; rows and columns of the part; columns of the maps; 1 / sqrt(d); N

/**
 * Softmax of a pixel's logits, a thread for each head: q . k / sqrt(d) + bias along y + bias along x.
 * taps: (rows then columns), two indices and two weights of q's sample. bias: (rows then columns, 2r+1, M).
 * weights: (G, P, M, N). content: of the same shape, q . k / sqrt(d), only for pixels that are inspected.
 * @param {Widths} widths @param {boolean} [isInspected]
 */
export function attendKernel(widths, isInspected = false) {
  const { side, heads, d4 } = widths;
  const [map4, places] = [mapsWidth(widths), side * side];
  const sample = (k) => `(top_left[${k}] * x.x + top_right[${k}] * x.y) * y.x + (low_left[${k}] * x.x + low_right[${k}] * x.y) * y.y`;
  return `
${bindings(CHUNK, "slots: u32", "bases: u32", "maps: vec4f", "taps: vec4u", "bias: f32", "out weights: f32", ...(isInspected ? ["out content: f32"] : []))}
fn q_at(row: u32, column: u32, head: u32) -> array<vec4f, ${d4}> {
  let at = (row * sizes.width + column) * ${map4}u + head * ${d4}u;
  return array<vec4f, ${d4}>(${Array.from({ length: d4 }, (_, k) => `maps[at + ${k}u]`).join(", ")});
}
@compute @workgroup_size(${ATTEND_THREADS})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  let head = id.y;
  if (i >= sizes.count) { return; }
  ${findPixel(widths)}
  let down = taps[row];
  let across = taps[sizes.rows + column];
  let y = bitcast<vec2f>(down.zw) * sizes.scale;
  let x = bitcast<vec2f>(across.zw);
  let top_left = q_at(down.x, across.x, head);
  let top_right = q_at(down.x, across.y, head);
  let low_left = q_at(down.y, across.x, head);
  let low_right = q_at(down.y, across.y, head);
  ${unroll(d4, (k) => `let q${k} = ${sample(k)};`)}
  var logits: array<f32, ${places}>;
  var largest = -1e30;
  let at = ((i / sizes.pixels) * ${places * heads}u + head) * sizes.pixels + i % sizes.pixels; // of place 0 in the weights
  let step = ${heads}u * sizes.pixels; // to the next place
  for (var wy = 0u; wy < ${side}u; wy += 1) {
    let bias_y = bias[(row * ${side}u + wy) * ${heads}u + head];
    for (var wx = 0u; wx < ${side}u; wx += 1) {
      let key = window + (wy * sizes.width + wx) * ${map4}u + ${heads * d4}u + head * ${d4}u;
      let product = ${Array.from({ length: d4 }, (_, k) => `dot(q${k}, maps[key + ${k}u])`).join(" + ")};
      let logit = product + (bias_y + bias[((sizes.rows + column) * ${side}u + wx) * ${heads}u + head]);
      logits[wy * ${side}u + wx] = logit;
      largest = max(largest, logit);
      ${isInspected ? `content[at + (wy * ${side}u + wx) * step] = product;` : ""}
    }
  }
  var sum = 0.0;
  for (var place = 0u; place < ${places}u; place += 1) {
    let power = exp(logits[place] - largest);
    logits[place] = power;
    sum += power;
  }
  for (var place = 0u; place < ${places}u; place += 1) {
    weights[at + place * step] = logits[place] / sum;
  }
}`;
}

/**
 * Local Fourier features of a pixel's nearest latent, a thread for four frequencies: amplitude * cos and sin of
 * pi (f_y rel_y + f_x rel_x). relative: (rows then columns), to the nearest latent. features: (G, N, 2 F).
 * @param {Widths} widths
 */
export function fourierKernel(widths) {
  const { side, heads, d4, fourier4 } = widths;
  const map4 = mapsWidth(widths);
  const middle = (side - 1) / 2;
  return `
${bindings(CHUNK, "slots: u32", "bases: u32", "maps: vec4f", "relative: f32", "out features: vec4f")}
${WAVES}
@compute @workgroup_size(${ATTEND_THREADS})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x / ${fourier4}u;
  let f = id.x % ${fourier4}u;
  if (i >= sizes.count) { return; }
  ${findPixel(widths)}
  let at = window + ${middle}u * (sizes.width + 1) * ${map4}u + ${3 * heads * d4}u + f;
  let turns = maps[at + ${2 * fourier4}u] * relative[row] + maps[at + ${3 * fourier4}u] * relative[sizes.rows + column];
  features[i * ${2 * fourier4}u + f] = maps[at] * cos_pi(turns);
  features[i * ${2 * fourier4}u + ${fourier4}u + f] = maps[at + ${fourier4}u] * sin_pi(turns);
}`;
}

/** Threads down a workgroup of `mixKernel`, and heads whose U it holds at a time: 16 KB of shared memory are there. @param {Widths} widths */
function shareMix({ heads, hidden4 }) {
  const down = Math.min(8, 2 ** Math.floor(Math.log2(256 / hidden4)));
  let together = 1;
  for (let n = 1; n <= down; n += 1) if (heads % n === 0 && down % n === 0 && LATENTS * n * hidden4 <= 1024) together = n;
  return { down, together };
}

/**
 * The first layer of the MLP, for the weighted values: sum over places p and heads m of weight_mp U_mp, U_mp = V_mp W1_mp.
 * U is made once for a latent, of one place and some heads at a time, in shared memory. A workgroup is a group; a thread
 * has four channels of the hidden layer, makes some of U, then mixes it for N / down pixels.
 * weights: (G, P, M, N), four pixels each. w1: (P, D, H). constant: (H), the bias and what the cell adds. hidden: (G, N, H).
 * @param {Widths} widths
 */
export function mixKernel(widths) {
  const { pixels, side, heads, d4, hidden4 } = widths;
  const { down, together } = shareMix(widths);
  const map4 = mapsWidth(widths);
  const each = pixels / down; // pixels of a thread
  const held = (LATENTS * together) / down; // numbers of U that a thread makes, all of one head
  const step = down / together; // between the latents of these
  return `
${bindings(CHUNK, "slots: u32", "bases: u32", "maps: vec4f", "weights: vec4f", "w1: vec4f", "constant: vec4f", "out hidden: vec4f")}
var<workgroup> mixed: array<vec4f, ${LATENTS * together * hidden4}>; // U: (latents, heads held, H)
@compute @workgroup_size(${hidden4}, ${down})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let h = local.x;
  let mine = local.y * ${each}u; // the first of its pixels
  let head = local.y % ${together}u; // of those held, the one whose U it makes
  ${unroll(each, (i) => `
  let latent${i} = slots[(sizes.first + group.x) * ${pixels}u + mine + ${i}u] % ${LATENTS}u * ${together * hidden4}u + h;
  var sum${i} = constant[h];`)}
  ${unroll(held, (j) => `
  let nearest${j} = local.y / ${together}u + ${j * step}u;
  let window${j} = bases[(sizes.first + group.x) * ${LATENTS}u + nearest${j}];
  let at${j} = window${j} * ${map4}u + ${2 * heads * d4}u;`)}
  for (var place = 0u; place < ${side * side}u; place += 1) {
    let shift = (place / ${side}u * sizes.width + place % ${side}u) * ${map4}u;
    for (var first = 0u; first < ${heads}u; first += ${together}u) {
      ${unroll(held, (j) => `var u${j} = vec4f();`)}
      for (var c = 0u; c < ${d4}u; c += 1) {
        let row = (place * ${heads * d4}u + (first + head) * ${d4}u + c) * ${4 * hidden4}u + h;
        ${unroll(4, (part) => `let row${part} = w1[row + ${part * hidden4}u];`)}
        ${unroll(held, (j) => `
        if (window${j} != ${EMPTY}u) {
          let value = maps[at${j} + shift + (first + head) * ${d4}u + c];
          u${j} += ${[0, 1, 2, 3].map((part) => `value[${part}] * row${part}`).join(" + ")};
        }`)}
      }
      workgroupBarrier();
      ${unroll(held, (j) => `mixed[(nearest${j} * ${together}u + head) * ${hidden4}u + h] = u${j};`)}
      workgroupBarrier();
      for (var k = 0u; k < ${together}u; k += 1) {
        let at = (((group.x * ${side * side}u + place) * ${heads}u + first + k) * ${pixels}u + mine) / 4u;
        var u = mixed[latent0 + k * ${hidden4}u];
        ${unroll(each, (i) => `
        ${i ? `if (latent${i} != latent${i - 1}) { u = mixed[latent${i} + k * ${hidden4}u]; }` : ""}
        ${i % 4 ? "" : `let w${i / 4} = weights[at + ${i / 4}u];`}
        sum${i} += w${Math.floor(i / 4)}[${i % 4}] * u;`)}
      }
    }
  }
  ${unroll(each, (i) => `hidden[(group.x * ${pixels}u + mine + ${i}u) * ${hidden4}u + h] = sum${i};`)}
}`;
}
