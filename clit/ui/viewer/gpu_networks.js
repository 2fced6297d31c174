// @ts-check
// Networks on the visitor's own GPU, for pages without a server.

import { withAlpha, withoutAlpha } from "./alpha.js";
import { attendByDistance } from "./attention.js";
import { Gpu } from "./gpu/device.js";
import { GpuRenderer } from "./gpu/renderer.js";
import { siteUrl } from "./site_files.js";
import { countSource, readGpuSource } from "./gpu_source.js";
import { paintHead } from "./gpu_survey.js";

/** @import { Raster } from "./resampling.js" */
/** @import { Networks, Part } from "./site_drawing.js" */

const WHY =
  "Here are pictures made beforehand: this page draws on your graphics processor, by WebGPU, and this browser offers it none here. " +
  "Newer versions of Chrome, Edge, Safari and Firefox have WebGPU, each on some systems.";

const never = () => false;

/**
 * Open the visitor's GPU; a sentence where there is none. @param {any[]} models @param {boolean} software whether one made of
 * software will do, which takes minutes for a view @returns {Promise<{networks: Networks} | {why: string}>}
 */
export async function openNetworks(models, software) {
  try {
    const gpu = await Gpu.open({ software });
    if (!gpu) return { why: WHY };
    const renderer = new GpuRenderer(gpu, siteUrl("weights/"));
    renderer.library.known.set("models.json", Promise.resolve({ models })); // it is here already
    return { networks: gpuNetworks(renderer, models) };
  } catch (error) {
    console.warn(error);
    return { why: WHY };
  }
}

/** @param {GpuRenderer} renderer @param {any[]} models @returns {Networks} */
function gpuNetworks(renderer, models) {
  /** @type {Raster | null} */
  let open = null;

  /** What the renderer hears of a part, once it has the picture. @param {Raster} raster @param {Part} part */
  async function wantedOf(raster, { model, stages, chain, size, window }) {
    if (open !== raster) {
      await renderer.open(withAlpha(raster.rgb), [raster.height, raster.width]);
      open = raster;
    }
    const { top, left, height, width } = window;
    return { model, stages, chain, size: /** @type {[number, number]} */ ([size.height, size.width]), window: /** @type {[number, number, number, number]} */ ([top, left, height, width]) };
  }

  /** @type {Networks["draw"]} */
  async function draw(raster, part, isOver, share) {
    const drawn = await renderer.draw(await wantedOf(raster, part), isOver, share);
    return drawn && { bytes: withoutAlpha(drawn.pixels, Uint8Array), factors: drawn.factors };
  }

  /** @type {Networks["colours"]} */
  async function colours(raster, part) {
    const found = await renderer.colours(await wantedOf(raster, part));
    return found && withoutAlpha(found, Float32Array);
  }

  /** @type {Networks["inspect"]} */
  async function inspect(raster, part, row, column) {
    const wanted = await wantedOf(raster, part);
    const { kind } = models.find((each) => each.name === part.model);
    const told = { kind, size: wanted.size, pixel: /** @type {[number, number]} */ ([row, column]) };
    if (kind === "attention") return { ...told, ...(await renderer.attend(wanted, row, column)) };
    const { pixels } = await renderer.draw(wanted, never);
    return { ...told, rgb: [...pixels.slice(0, 3)], stages: attendByDistance(raster, part.size, row, column) };
  }

  return {
    ...{ draw, colours, inspect },
    paintHead: async (raster, part, what, isOver) => paintHead(renderer, await wantedOf(raster, part), what, isOver),
    sourceBytes: async (raster, part) => countSource(renderer, await wantedOf(raster, part)),
    source: async (raster, part) => readGpuSource(renderer, await wantedOf(raster, part)),
  };
}
