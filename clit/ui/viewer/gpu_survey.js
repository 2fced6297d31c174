// @ts-check
// How widely and where each head looks over a view, tile by tile on the visitor's own GPU.

import { survey } from "./gpu/survey.js";

/** @import { GpuRenderer, Wanted } from "./gpu/renderer.js" */

const TILE_SIDE = 192; // output pixels: at x1 its maps have to fit a buffer

/**
 * Entropy in bits, mean offset along y and along x, of each head: (height, width, heads, 3); null as soon as `isOver`.
 * @param {GpuRenderer} renderer @param {Wanted} wanted @param {() => boolean} isOver @returns {Promise<Float32Array | null>}
 */
export async function surveyView(renderer, wanted, isOver) {
  const { decoder, encoder } = await renderer.load(wanted.model);
  const [top, left, height, width] = wanted.window;
  const { heads } = decoder.config;
  const out = new Float32Array(3 * heads * height * width);
  const pause = () => renderer.gpu.flush();
  return renderer.inTurn(async () => {
    const { part } = renderer.partOf(wanted, decoder);
    for (let y = 0; y < height; y += TILE_SIDE) {
      for (let x = 0; x < width; x += TILE_SIDE) {
        if (isOver()) return null;
        const [rows, columns] = [Math.min(TILE_SIDE, height - y), Math.min(TILE_SIDE, width - x)];
        const tile = { ...part, window: /** @type {Wanted["window"]} */ ([top + y, left + x, rows, columns]) };
        const found = await renderer.gpu.guard(async () =>
          survey(decoder, await renderer.featuresOf(encoder, decoder.reads(tile), pause), tile, pause),
        );
        for (let row = 0; row < rows; row += 1) {
          for (let i = 0; i < columns * heads; i += 1) {
            const from = 4 * (row * columns * heads + i);
            out.set(found.subarray(from, from + 3), 3 * (((y + row) * width + x) * heads + i));
          }
        }
      }
    }
    return out;
  });
}
