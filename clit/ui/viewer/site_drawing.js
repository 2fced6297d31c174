// @ts-check
// What methods make of a picture where there is no server: plain interpolation is computed here, networks by the visitor's GPU.

import { cut, toBytes, toFloats } from "./decoding.js";
import { clamp } from "./numbers.js";
import { cubicTaps, enlarge, linearTaps } from "./resampling.js";

/** @import { Seen, Window } from "./engine.js" */
/** @import { Size } from "./numbers.js" */
/** @import { Raster } from "./resampling.js" */

/**
 * A part of an enlarged picture.
 * @typedef {object} Part
 * @property {string} model
 * @property {number | null} stages stop a cascade after so many
 * @property {string} chain
 * @property {Size} size of the whole output
 * @property {Window} window
 */

/**
 * What draws networks. `isOver` says that nobody wants it any more: then there is null.
 * @typedef {object} Networks
 * @property {(raster: Raster, part: Part, isOver: () => boolean, share: (done: number) => void) =>
 *   Promise<{bytes: Uint8Array, factors: number[]} | null>} draw bytes: (h, w, 3); factors of all stages of a cascade; share
 *   hears how much is done, 0..1
 * @property {(raster: Raster, part: Part) => Promise<Float32Array | null>} colours the same, not rounded and not clipped
 * @property {(raster: Raster, part: Part, what: {paint: string, head: number}, isOver: () => boolean) =>
 *   Promise<{rgb: Uint8Array, span: [number, number] | null, factors: number[]} | null>} paintHead what a head does, in colours
 * @property {(raster: Raster, part: Part, row: number, column: number) => Promise<Seen>} inspect
 * @property {(raster: Raster, part: Part) => Promise<number>} sourceBytes about as many as `source` has, in base64
 * @property {(raster: Raster, part: Part) => Promise<any>} source as the server describes it, see `readSource`
 */

const TAPS = { bilinear: linearTaps, bicubic: cubicTaps };

/** @typedef {{raster: Raster, truth: Raster | null}} Pair a small picture, and its ground truth if it has one */

/**
 * Bytes (h, w, 3) of a part, and the factors of a cascade's stages; null where that is over.
 * @param {Networks} networks @param {Pair} pair @param {Part} part @param {() => boolean} isOver @param {(done: number) => void} share
 */
export async function drawBytes(networks, { raster, truth }, part, isOver, share) {
  const { model, size, window } = part;
  if (model === "truth") return { bytes: cut(truth, window).rgb, factors: [] };
  if (TAPS[model]) return { bytes: toBytes(enlarge(raster, size, window, TAPS[model])), factors: [] };
  return networks.draw(raster, part, isOver, share);
}

/**
 * Colours of a part in [0, 1], not rounded: (h, w, 3).
 * @param {Networks} networks @param {Pair} pair @param {Part} part @returns {Promise<Float32Array | null>}
 */
export async function drawColours(networks, { raster, truth }, part) {
  const { model, size, window } = part;
  if (model === "truth") return toFloats(cut(truth, window).rgb);
  const drawn = TAPS[model] ? enlarge(raster, size, window, TAPS[model]) : await networks.colours(raster, part);
  return drawn?.map((each) => clamp(each, 0, 1)) ?? null;
}
