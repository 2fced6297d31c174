// @ts-check
// The layers of an MLP after its first, for rows of hidden vectors that lie in shared memory from layer to layer.

import { EMPTY, LATENTS } from "./groups.js";
import { layerOf, join, transpose } from "./weights.js";
import { bindings, GELU, RELU, unroll, WAVES } from "./wgsl.js";

/** @import { Buffer, Gpu } from "./device.js" */
/** @import { Tensors } from "./weights.js" */

/** Rows of a workgroup, and its threads down: its hidden vectors take up to 16 KB. @param {number} hidden4 */
export function shareRows(hidden4) {
  const down = Math.min(8, 2 ** Math.floor(Math.log2(256 / hidden4)));
  const rows = Math.min(32, Math.floor(1024 / hidden4 / down) * down);
  return { down, rows };
}

/**
 * `load` sets `value`, four channels `h` of the first hidden vector of row `row`. Then `layers` square layers: weight
 * (layers, H, H), from then to; bias (layers, H). `row` may be one of `blend` rows whose last hidden vectors are blended
 * by the vec4 `share`. The last layer makes three numbers of that, `colour`: last (3, H), and its bias. `before` sets
 * `share`, and may `continue` for rows that are no pixels; `after` stores the colour.
 * @param {{hidden4: number, layers: number, blend?: 1 | 4, declared: string, load: string, before: string, after: string}} parts
 */
function mlpKernel({ hidden4, layers, blend = 1, declared, load, before, after }) {
  const { down, rows } = shareRows(hidden4);
  const each = rows / down;
  const blended = blend === 1 ? `x[i * ${hidden4}u + k]` : [0, 1, 2, 3].map((n) => `share[${n}] * x[(i * 4u + ${n}u) * ${hidden4}u + k]`).join(" + ");
  return `
${declared}
var<workgroup> x: array<vec4f, ${rows * hidden4}>; // (rows, H)
@compute @workgroup_size(${hidden4}, ${down})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) thread: u32) {
  let h = local.x;
  let mine = local.y * ${each}u; // the first of its rows
  for (var i = mine; i < mine + ${each}u; i += 1) {
    let row = group.x * ${rows}u + i;
    var value = vec4f();
    ${load}
    x[i * ${hidden4}u + h] = value;
  }
  workgroupBarrier();
  for (var layer = 0u; layer < ${layers}u; layer += 1) {
    ${unroll(each, (i) => `var sum${i} = bias[layer * ${hidden4}u + h];`)}
    for (var k = 0u; k < ${hidden4}u; k += 1) {
      let at = (layer * ${hidden4}u + k) * ${4 * hidden4}u + h;
      ${unroll(4, (part) => `let w${part} = weight[at + ${part * hidden4}u];`)}
      ${unroll(each, (i) => `{
        let v = x[(mine + ${i}u) * ${hidden4}u + k];
        sum${i} += v.x * w0 + v.y * w1 + v.z * w2 + v.w * w3;
      }`)}
    }
    workgroupBarrier();
    ${unroll(each, (i) => `x[(mine + ${i}u) * ${hidden4}u + h] = activate(sum${i});`)}
    workgroupBarrier();
  }
  for (var i = thread; i < ${rows / blend}u; i += ${hidden4 * down}u) {
    let row = group.x * ${rows / blend}u + i;
    if (row >= sizes.count) { return; }
    ${before}
    var colour = last[${3 * hidden4}u];
    for (var k = 0u; k < ${hidden4}u; k += 1) {
      let v = ${blended};
      colour += vec4f(dot(v, last[k]), dot(v, last[${hidden4}u + k]), dot(v, last[${2 * hidden4}u + k]), 0);
    }
    ${after}
  }
}`;
}

/**
 * After `mixKernel`: hidden (G, N, H), without activation; features (G, N, 2 F) and what the first layer makes of them, w1
 * (2 F, H). residual (pixels of the part): R = this stage's + carry times what is there.
 * @param {{hidden4: number, fourier4: number, layers: number, carry: number}} widths
 */
export const attentionMlp = ({ hidden4, fourier4, layers, carry }) =>
  mlpKernel({
    hidden4,
    layers,
    declared:
      bindings("first: u32, count: u32", "slots: u32", "hidden: vec4f", "weight: vec4f", "bias: vec4f", "last: vec4f", "out residual: vec4f", ...(fourier4 ? ["features: vec4f", "w1: vec4f"] : [])) + GELU,
    load: `
    value = hidden[row * ${hidden4}u + h];
    for (var k = 0u; k < ${2 * fourier4}u; k += 1) {
      ${fourier4 ? `let f = features[row * ${2 * fourier4}u + k];
      let at = k * ${4 * hidden4}u + h;
      value += f.x * w1[at] + f.y * w1[at + ${hidden4}u] + f.z * w1[at + ${2 * hidden4}u] + f.w * w1[at + ${3 * hidden4}u];` : ""}
    }
    value = activate(value);`,
    before: `let slot = slots[sizes.first + row]; if (slot == ${EMPTY}u) { continue; }
    let pixel = slot / ${LATENTS}u;`,
    after: carry ? `residual[pixel] = colour + ${carry} * residual[pixel];` : "residual[pixel] = colour;",
  });

// A row is one of the four latents around a pixel. axes: (rows then columns), two indices in the maps, two relative
// coordinates. Each latent weighs as the rectangle between the pixel and the latent diagonally opposite.
const ENSEMBLE = {
  sizes: "first: u32, count: u32, rows: u32, columns: u32, width: u32",
  latent: `
    let pixel = sizes.first + row / 4u;
    if (row / 4u < sizes.count) {
      let down = axes[pixel / sizes.columns];
      let across = axes[sizes.rows + pixel % sizes.columns];
      let at = down[(row >> 1u) & 1u] * sizes.width + across[row & 1u];
      let rel_y = bitcast<f32>(down[2u + ((row >> 1u) & 1u)]);
      let rel_x = bitcast<f32>(across[2u + (row & 1u)]);`,
  share: `
    let pixel = sizes.first + row;
    let rel_y = bitcast<vec2f>(axes[pixel / sizes.columns].zw);
    let rel_x = bitcast<vec2f>(axes[sizes.rows + pixel % sizes.columns].zw);
    let area = abs(rel_y.xxyy * rel_x.xyxy) + 1e-9;
    let share = area.wzyx / (area.x + area.y + area.z + area.w);`,
};

/**
 * LIIF: maps (rows, columns, H) are what the first layer makes of the unfolded features, and its bias; place (3, H) what it
 * makes of one unit along y, along x, and of the cell. colours (pixels of the part).
 * @param {{hidden4: number, layers: number}} widths
 */
export const liifMlp = ({ hidden4, layers }) =>
  mlpKernel({
    hidden4,
    layers,
    blend: 4,
    declared: bindings(ENSEMBLE.sizes, "axes: vec4u", "maps: vec4f", "place: vec4f", "weight: vec4f", "bias: vec4f", "last: vec4f", "out colours: vec4f") + RELU,
    load: `${ENSEMBLE.latent}
      value = activate(maps[at * ${hidden4}u + h] + rel_y * place[h] + rel_x * place[${hidden4}u + h] + place[${2 * hidden4}u + h]);
    }`,
    before: ENSEMBLE.share,
    after: "colours[pixel] = colour;",
  });

/**
 * LTE: maps (rows, columns, 2 H) are the amplitudes of cosines and of sines and the frequencies along y and along x, each
 * H / 2; phase (H / 2) in half turns. All layers are square: what a latent predicts begins with A cos and A sin.
 * @param {{hidden4: number, layers: number}} widths
 */
export const lteMlp = ({ hidden4, layers }) =>
  mlpKernel({
    hidden4,
    layers,
    blend: 4,
    declared: bindings(ENSEMBLE.sizes, "axes: vec4u", "maps: vec4f", "phase: vec4f", "weight: vec4f", "bias: vec4f", "last: vec4f", "out colours: vec4f") + RELU + WAVES,
    load: `${ENSEMBLE.latent}
      let f = h % ${hidden4 / 2}u;
      let turns = maps[at * ${2 * hidden4}u + ${hidden4}u + f] * rel_y + maps[at * ${2 * hidden4}u + ${(3 * hidden4) / 2}u + f] * rel_x + phase[f];
      value = maps[at * ${2 * hidden4}u + h] * select(sin_pi(turns), cos_pi(turns), h < ${hidden4 / 2}u);
    }`,
    before: ENSEMBLE.share,
    after: "colours[pixel] = colour;",
  });

/**
 * Buffers of the square layers name.first, name.first + 2, ... and of the last one.
 * @param {Gpu} gpu @param {Tensors} tensors @param {string} name @param {number} first @param {number} count
 * @returns {{weight: Buffer, bias: Buffer, last: Buffer}}
 */
export function keepLayers(gpu, tensors, name, first, count) {
  const layers = Array.from({ length: count }, (_, i) => layerOf(tensors, `${name}.${first + 2 * i}`));
  const last = layerOf(tensors, `${name}.${first + 2 * count}`);
  return {
    weight: gpu.keep(join(layers.map(({ weight }) => transpose(weight)))),
    bias: gpu.keep(join(layers.map(({ bias }) => bias.data))),
    last: gpu.keep(join([last.weight.data, last.bias.data, new Float32Array(1)])),
  };
}
