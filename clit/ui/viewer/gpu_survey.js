// @ts-check
// How widely and where each head looks over a view, tile by tile on the visitor's own GPU; and that in colours.

import { gridsOf } from "./gpu/chain.js";
import { survey } from "./gpu/survey.js";
import { meanOverLatents, wholeLatents } from "./latent_means.js";
import { cutValues, directionColours, entropyColours, entropySpan, selectHead } from "./painting.js";

/** @import { GpuRenderer, Wanted } from "./gpu/renderer.js" */

const TILE_SIDE = 192; // output pixels: at x1 its maps have to fit a buffer

/**
 * What a view by LIT or CLIT shows of a head: bytes (height, width, 3), the entropies in bits that they span, and the factors
 * of a cascade's stages; null as soon as `isOver`.
 * @param {GpuRenderer} renderer @param {Wanted} wanted @param {{paint: string, head: number}} what one of PAINTS; from 1, 0 is
 * the mean of all @param {() => boolean} isOver
 * @returns {Promise<{rgb: Uint8Array, span: [number, number] | null, factors: number[]} | null>}
 */
export async function paintHead(renderer, wanted, { paint, head }, isOver) {
  const { decoder } = await renderer.load(wanted.model);
  const { heads, radius } = decoder.config;
  const { part, factors } = renderer.partOf(wanted, decoder);
  const [top, left, height, width] = wanted.window;
  const [window, size] = [{ top, left, height, width }, { height: wanted.size[0], width: wanted.size[1] }];
  const grid = paint === "entropy-mean" ? gridsOf(part.small, part.factors).at(-1) : null;
  const seen = grid ? wholeLatents(window, size, grid) : window;
  const found = await surveyView(renderer, { ...wanted, window: [seen.top, seen.left, seen.height, seen.width] }, isOver);
  if (!found) return null;
  const values = selectHead(found, head, heads);
  if (paint === "direction") return { rgb: directionColours(values, radius), span: null, factors };
  const shown = grid ? cutValues(meanOverLatents(values, seen, size, grid), seen, window) : values;
  const span = entropySpan(shown);
  return { rgb: entropyColours(shown, span), span, factors };
}

/**
 * Entropy in bits, mean offset along y and along x, of each head: (height, width, heads, 3); null as soon as `isOver`.
 * @param {GpuRenderer} renderer @param {Wanted} wanted @param {() => boolean} isOver @returns {Promise<Float32Array | null>}
 */
export async function surveyView(renderer, wanted, isOver) {
  const { decoder, encoder } = await renderer.load(wanted.model);
  const [top, left, height, width] = wanted.window;
  const { heads } = decoder.config;
  const out = new Float32Array(3 * heads * height * width);
  return renderer.whileWanted(isOver, async (pause) => {
    const { part } = renderer.partOf(wanted, decoder);
    for (let y = 0; y < height; y += TILE_SIDE) {
      for (let x = 0; x < width; x += TILE_SIDE) {
        const [rows, columns] = [Math.min(TILE_SIDE, height - y), Math.min(TILE_SIDE, width - x)];
        const tile = { ...part, window: /** @type {Wanted["window"]} */ ([top + y, left + x, rows, columns]) };
        const found = await renderer.guard(async () =>
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
