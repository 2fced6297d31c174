// @ts-check
// The picture on the device: the small one, and what is shown of the large one.

import { pointTable } from "./tables.js";
import { bindings } from "./wgsl.js";

/** @import { Buffer, Gpu } from "./device.js" */
/** @import { Points } from "./tables.js" */

const f = Math.fround;

/**
 * The small picture as networks see it: (h, w, 4), RGB in [-1, 1] and nothing.
 * @param {ArrayLike<number>} rgba bytes
 */
export function normalise(rgba) {
  const out = new Float32Array(rgba.length);
  for (let i = 0; i < out.length; i += 1) if (i % 4 < 3) out[i] = f(rgba[i] / 255) * 2 - 1;
  return out;
}

/** @param {ArrayLike<number>} rgba bytes */
export function isGrey(rgba) {
  for (let i = 0; i < rgba.length; i += 4) if (rgba[i] !== rgba[i + 1] || rgba[i] !== rgba[i + 2]) return false;
  return true;
}

/**
 * The picture enlarged by interpolation, plus what a network adds, or either. taps: (rows then columns), `count` indices
 * and weights each; residual (pixels). colours: (pixels), RGB where 0..1 is black to white, not clipped, and 1; bytes:
 * (pixels) RGBA. A grey picture's pixels are the luma (BT.601) of what a network makes.
 * @param {{count: number, hasResidual: boolean, isGrey: boolean}} parts count: 0 for no interpolation
 */
function finishKernel({ count, hasResidual, isGrey }) {
  const inputs = [...(hasResidual ? ["residual: vec4f"] : []), ...(count ? ["image: vec4f", "taps: u32"] : [])];
  return `
${bindings("columns: u32, rows: u32, width: u32", ...inputs, "out colours: vec4f", "out bytes: u32")}
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= sizes.rows * sizes.columns) { return; }
  var value = ${hasResidual ? "residual[id.x]" : "vec4f()"};
  ${count ? `
  let down = id.x / sizes.columns * ${2 * count}u;
  let across = (sizes.rows + id.x % sizes.columns) * ${2 * count}u;
  for (var x = 0u; x < ${count}u; x += 1) {
    var sum = vec4f();
    for (var y = 0u; y < ${count}u; y += 1) {
      sum += image[taps[down + y] * sizes.width + taps[across + x]] * bitcast<f32>(taps[down + ${count}u + y]);
    }
    value += sum * bitcast<f32>(taps[across + ${count}u + x]);
  }` : ""}
  var rgb = value.xyz * 0.5 + 0.5;
  ${isGrey ? "rgb = vec3f(rgb.x + 0.587 * (rgb.y - rgb.x) + 0.114 * (rgb.z - rgb.x));" : ""}
  colours[id.x] = vec4f(rgb, 1);
  let whole = vec3u(round(clamp(rgb, vec3f(), vec3f(1)) * 255));
  bytes[id.x] = whole.x | (whole.y << 8u) | (whole.z << 16u) | 0xff000000u;
}`;
}

/** @typedef {{buffer: Buffer, size: [number, number], isGrey: boolean}} GpuPicture */

/**
 * @param {Gpu} gpu @param {GpuPicture} picture @param {[number, number]} size rows and columns @param {Buffer | null} residual
 * @param {{rows: Points[], columns: Points[]} | null} taps
 */
export function finish(gpu, picture, [height, width], residual, taps) {
  const count = taps ? taps.rows[0].index.length : 0;
  const [colours, bytes] = [gpu.make(4 * height * width), gpu.make(height * width)];
  const inputs = taps ? [picture.buffer, gpu.make(pointTable([...taps.rows, ...taps.columns]))] : [];
  gpu.run(
    finishKernel({ count, hasResidual: residual !== null, isGrey: picture.isGrey }),
    [width, height, picture.size[1]],
    [...(residual ? [residual] : []), ...inputs, colours, bytes],
    [Math.ceil((height * width) / 64)],
  );
  return { colours, bytes };
}
