// @ts-check
// A 3x3 convolution of channels-last maps.

import { bindings, unroll } from "./wgsl.js";

/** @import { Buffer, Gpu } from "./device.js" */
/** @import { Tensor } from "./weights.js" */

/** @typedef {[number, number, number, number]} Region top, left, bottom, right; the last two are not inside */

/** @typedef {{buffer: Buffer, region: Region}} GpuMap (rows, columns, channels) over a region of a grid */

const [ROWS, COLUMNS, WIDE] = [16, 8, 16]; // a workgroup makes so many rows and columns of so many vec4s
const CHUNK = 4; // vec4s of the source that are in shared memory at a time
const SEEN = (ROWS + 2) * (COLUMNS + 2);
const [RELU, ADD] = [1, 2]; // what else is done

/**
 * source (rows, columns, in4), zero outside -> result (rows, columns, out4), zero outside `inside`. weight: (3, 3, 4 in4,
 * out4), bias: (out4). A thread makes 8 pixels of a row, 4 channels each. other: (rows, columns, out4), to be added. One
 * kernel for all widths: a browser takes its time to compile one.
 */
const CONVOLVE = `
${bindings("source: vec2i, size: vec2i, shift: vec2i, in4: u32, out4: u32, inside: vec4i, also: u32", "source: vec4f", "weight: vec4f", "bias: vec4f", "other: vec4f", "out result: vec4f")}
var<workgroup> seen: array<vec4f, ${SEEN * CHUNK}>; // (rows + 2, columns + 2, chunk)
@compute @workgroup_size(${WIDE}, ${ROWS})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) thread: u32) {
  let corner = vec2i(group.yx) * vec2i(${ROWS}, ${COLUMNS});
  let channel = group.z * ${WIDE} + local.x;
  let column = min(channel, sizes.out4 - 1);
  ${unroll(COLUMNS, (i) => `var sum${i} = vec4f();`)}
  for (var first = 0u; first < sizes.in4; first += ${CHUNK}) {
    workgroupBarrier();
    for (var i = thread; i < ${SEEN * CHUNK}; i += ${WIDE * ROWS}) {
      let at = i32(i / ${CHUNK});
      let place = corner + sizes.shift - 1 + vec2i(at / ${COLUMNS + 2}, at % ${COLUMNS + 2});
      let c = first + i % ${CHUNK};
      let is_inside = all(place >= vec2i()) && all(place < sizes.source) && c < sizes.in4;
      seen[i] = vec4f();
      if (is_inside) { seen[i] = source[u32(place.x * sizes.source.y + place.y) * sizes.in4 + c]; }
    }
    workgroupBarrier();
    for (var c = 0u; c < min(${CHUNK}, sizes.in4 - first); c += 1) {
      for (var ky = 0u; ky < 3; ky += 1) {
        let row = (local.y + ky) * ${(COLUMNS + 2) * CHUNK} + c;
        ${unroll(COLUMNS + 2, (i) => `let x${i} = seen[row + ${i * CHUNK}];`)}
        var at = (ky * 3 * sizes.in4 + first + c) * 4 * sizes.out4 + column;
        var w: vec4f;
        ${unroll(12, (i) => {
          const [kx, part] = [Math.floor(i / 4), i % 4];
          const sums = unroll(COLUMNS, (pixel) => `sum${pixel} += x${pixel + kx}[${part}] * w;`);
          return `w = weight[at];\n${sums}\nat += ${part < 3 ? "sizes.out4" : "(4 * sizes.in4 - 3) * sizes.out4"};`;
        })}
      }
    }
  }
  let y = corner.x + i32(local.y);
  if (y >= sizes.size.x || channel >= sizes.out4) { return; }
  ${unroll(COLUMNS, (i) => `{
    let x = corner.y + ${i};
    if (x < sizes.size.y) {
      let at = u32(y * sizes.size.y + x) * sizes.out4 + channel;
      var value = sum${i} + bias[channel];
      if ((sizes.also & ${RELU}) != 0) { value = max(value, vec4f()); }
      if ((sizes.also & ${ADD}) != 0) { value += other[at]; }
      let counts = y >= sizes.inside.x && x >= sizes.inside.y && y < sizes.inside.z && x < sizes.inside.w;
      result[at] = select(vec4f(), value, counts);
    }
  }`)}
}`;

/** One or more convolutions of the same map, their results side by side. */
export class Convolution {
  /**
   * @param {Gpu} gpu @param {{weight: Tensor, bias: Tensor}[]} tensors weights (out, in, 3, 3), biases (out)
   * @param {{relu?: boolean}} [options]
   */
  constructor(gpu, tensors, { relu = false } = {}) {
    const channels = tensors[0].weight.shape[1];
    const in4 = Math.ceil(channels / 4);
    const width = tensors.reduce((sum, { weight }) => sum + weight.shape[0], 0);
    const weight = new Float32Array(9 * 4 * in4 * width);
    const bias = new Float32Array(width);
    let first = 0;
    for (const part of tensors) {
      const count = part.weight.shape[0];
      part.weight.data.forEach((value, i) => {
        const [tap, from, to] = [i % 9, Math.floor(i / 9) % channels, Math.floor(i / 9 / channels)];
        weight[(tap * 4 * in4 + from) * width + first + to] = value;
      });
      bias.set(part.bias.data, first);
      first += count;
    }
    this.gpu = gpu;
    this.width = width;
    this.in4 = in4;
    this.also = relu ? RELU : 0;
    this.weight = gpu.keep(weight);
    this.bias = gpu.keep(bias);
  }

  /**
   * Its result over a region of a grid of (rows, columns), zero outside that.
   * @param {GpuMap} from zero where it says nothing @param {Region} region @param {[number, number]} grid @param {GpuMap} [other] that is added
   * @returns {GpuMap}
   */
  over(from, region, grid, other) {
    const [height, width] = sides(region);
    const shift = [region[0] - from.region[0], region[1] - from.region[1]];
    const [top, left, bottom, right] = clip(region, grid);
    const inside = [top - region[0], left - region[1], bottom - region[0], right - region[1]];
    const buffer = this.gpu.make(height * width * this.width);
    this.gpu.run(
      CONVOLVE,
      [...sides(from.region), height, width, ...shift, this.in4, this.width / 4, ...inside, this.also | (other ? ADD : 0)],
      [from.buffer, this.weight, this.bias, other?.buffer ?? this.bias, buffer],
      [Math.ceil(width / COLUMNS), Math.ceil(height / ROWS), Math.ceil(this.width / 4 / WIDE)],
    );
    return { buffer, region };
  }
}

/** Rows and columns of a region. @param {Region} region @returns {[number, number]} */
export const sides = ([top, left, bottom, right]) => [bottom - top, right - left];

/** @param {Region} region @param {number} by @returns {Region} */
export const grow = ([top, left, bottom, right], by) => [top - by, left - by, bottom + by, right + by];

/** The part inside a grid. @param {Region} region @param {[number, number]} grid @returns {Region} */
export const clip = ([top, left, bottom, right], [rows, columns]) => [Math.max(top, 0), Math.max(left, 0), Math.min(bottom, rows), Math.min(right, columns)];
