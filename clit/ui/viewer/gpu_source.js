// @ts-check
// What a saved page computes attention from, read from the visitor's own GPU: what clit/rendering/attention_source.py makes.

import { clip, grow, sides } from "./gpu/convolve.js";
import { roundHalfEven } from "./numbers.js";

/** @import { GpuRenderer } from "./gpu/renderer.js" */
/** @import { Wanted } from "./gpu/renderer.js" */

/** The bytes in base64 that the arrays of a view's source take. @param {GpuRenderer} renderer @param {Wanted} wanted */
export async function countSource(renderer, wanted) {
  const { decoder } = await renderer.load(wanted.model);
  const { part } = renderer.partOf(wanted, decoder);
  const { width } = decoder.config;
  const [height, columns] = sides(decoder.reads(part));
  return 4 * Math.ceil((2 * width * (height * columns + 18 * width * part.factors.length)) / 3);
}

/** The source of a view by LIT or CLIT, in the form that the server sends, see `readSource`. @param {GpuRenderer} renderer @param {Wanted} wanted */
export async function readGpuSource(renderer, wanted) {
  const { decoder, encoder } = await renderer.load(wanted.model);
  const entry = await renderer.library.model(wanted.model);
  const tensors = await renderer.library.tensors(entry.decoder);
  const { heads, radius, width } = entry.config.decoder;
  return renderer.inTurn(async () => {
    const { part } = renderer.partOf(wanted, decoder);
    const region = decoder.reads(part);
    const [top, left, bottom, right] = region;
    const z = await renderer.guard(async () => {
      const features = await renderer.featuresOf(encoder, clip(grow(region, 1), part.small), () => renderer.gpu.flush());
      const count = (bottom - top) * (right - left) * width;
      return new Float32Array(await renderer.gpu.read(decoder.embed.over(features, region, part.small).buffer, count));
    });
    const convolution = (name) => ({ weight: tensors.get(`${name}.weight`), bias: tensors.get(`${name}.bias`) });
    const { weight, bias } = convolution("bias.proj");
    return {
      heads,
      radius,
      region: [top, left, bottom - top, right - left],
      z: packHalves(z),
      frequencies: packFloats(tensors.get("bias.frequencies").data),
      position: packFloats(weight.data),
      position_bias: packFloats(bias.data),
      stages: decoder.placeStages(part).map(({ grid }, j) => {
        const [query, key] = ["query_conv", "key_conv"].map((name) => convolution(`stages.${j}.${name}`));
        return {
          grid,
          query: packHalves(byPlace(query.weight)),
          query_bias: packFloats(query.bias.data),
          key: packHalves(byPlace(key.weight)),
          key_bias: packFloats(key.bias.data),
        };
      }),
    };
  });
}

/** Weights (to, from, 3, 3) as (3, 3, from, to). @param {{shape: number[], data: Float32Array}} weight */
function byPlace({ shape: [to, from], data }) {
  const out = new Float32Array(data.length);
  for (let o = 0; o < to; o += 1) {
    for (let i = 0; i < from; i += 1) {
      for (let place = 0; place < 9; place += 1) out[(place * from + i) * to + o] = data[(o * from + i) * 9 + place];
    }
  }
  return out;
}

/** @param {Float32Array} values @returns {string} little-endian float32 in base64 */
const packFloats = (values) => pack(4, values, (view, at, value) => view.setFloat32(at, value, true));

/** @param {Float32Array} values @returns {string} little-endian float16 in base64 */
const packHalves = (values) => pack(2, values, (view, at, value) => view.setUint16(at, halfBits(value), true));

/** @param {number} bytes of each @param {Float32Array} values @param {(view: DataView, at: number, value: number) => void} write */
function pack(bytes, values, write) {
  const view = new DataView(new ArrayBuffer(bytes * values.length));
  values.forEach((value, i) => write(view, bytes * i, value));
  let text = "";
  const whole = new Uint8Array(view.buffer);
  for (let at = 0; at < whole.length; at += 8192) text += String.fromCharCode(...whole.subarray(at, at + 8192));
  return btoa(text);
}

/** The nearest float16, halves to even; 65504 at most. @param {number} value */
function halfBits(value) {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.min(Math.abs(value), 65504);
  const exponent = Math.max(-14, Math.floor(Math.log2(size))); // of its leading bit; -14 for the smallest ones too
  const steps = roundHalfEven(size / 2 ** (exponent - 10)); // 1024 to 2048 of them, fewer for the smallest ones
  return sign | ((exponent + 14) * 1024 + steps);
}
