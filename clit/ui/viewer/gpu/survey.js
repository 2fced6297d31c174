// @ts-check
// How widely and where each head of LIT or CLIT looks, at every pixel of a part.

import { attendKernel, ATTEND_THREADS } from "./attend.js";
import { EMPTY, LATENTS } from "./groups.js";
import { bindings } from "./wgsl.js";

/** @import { Cascade, Part } from "./cascade.js" */
/** @import { GpuMap } from "./convolve.js" */
/** @import { Pause } from "./encoder.js" */

const CHUNK_PIXELS = 16_384; // the device is asked for so many at a time: 13 MB of weights of 4 heads

/**
 * Of the weights of a chunk, (G, P, M, N), a thread for each pixel and head: their entropy in bits, and the weighted mean
 * offset from the pixel to the latents, in latents. relative: (rows then columns, 2r+1), pixel less latent, latents 2 apart.
 * found: (pixels of the part, M).
 * @param {{pixels: number, side: number, heads: number}} widths
 */
const surveyKernel = ({ pixels, side, heads }) => `
${bindings("first: u32, count: u32, rows: u32, columns: u32", "slots: u32", "weights: f32", "relative: f32", "out found: vec4f")}
@compute @workgroup_size(${ATTEND_THREADS})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  let head = id.y;
  if (i >= sizes.count) { return; }
  let slot = slots[sizes.first * ${pixels}u + i];
  if (slot == ${EMPTY}u) { return; }
  let pixel = slot / ${LATENTS}u;
  let row = pixel / sizes.columns;
  let column = sizes.rows + pixel % sizes.columns;
  let at = ((i / ${pixels}u) * ${side * side * heads}u + head) * ${pixels}u + i % ${pixels}u;
  var entropy = 0.0;
  var offset = vec2f();
  for (var y = 0u; y < ${side}u; y += 1) {
    for (var x = 0u; x < ${side}u; x += 1) {
      let weight = weights[at + (y * ${side}u + x) * ${heads * pixels}u];
      if (weight > 0) { entropy -= weight * log2(weight); }
      offset -= weight * 0.5 * vec2f(relative[row * ${side}u + y], relative[column * ${side}u + x]);
    }
  }
  found[pixel * ${heads}u + head] = vec4f(entropy, offset, 0);
}`;

/**
 * Entropy, offset along y and along x, and nothing, of each head of the last stage in use: (height, width, M, 4).
 * @param {Cascade} decoder @param {GpuMap} features @param {Part} part @param {Pause} pause @returns {Promise<Float32Array>}
 */
export async function survey(decoder, features, part, pause) {
  const { gpu, side } = decoder;
  const places = decoder.placeStages(part);
  const [j, place] = [places.length - 1, places.at(-1)];
  const { widths, count, slots, bases, maps, taps, bias, sizes } = decoder.prepareStage(j, place, decoder.makeMaps(j, place, features, part.small), part);
  const { pixels, heads } = widths;
  const relative = gpu.make(Float32Array.from([...place.rows.relative, ...place.columns.relative].flat()));
  const length = 4 * heads * part.window[2] * part.window[3];
  const found = gpu.make(length);
  const most = Math.min(count, CHUNK_PIXELS / pixels);
  const weights = gpu.make(most * pixels * side ** 2 * heads);
  for (let first = 0; first < count; first += most) {
    const groups = Math.min(most, count - first);
    const numbers = sizes(first, groups);
    const threads = Math.ceil((groups * pixels) / ATTEND_THREADS);
    gpu.run(attendKernel(widths), numbers, [slots, bases, maps, taps, bias, weights], [threads, heads]);
    gpu.run(surveyKernel(widths), numbers.slice(0, 4), [slots, weights, relative, found], [threads, heads]);
    await pause();
  }
  return new Float32Array(await gpu.read(found, length));
}
