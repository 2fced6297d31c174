// @ts-check
// What the viewer asks of its engine, as the renderer of the visitor's own GPU hears it.

import { withAlpha } from "../alpha.js";

/** @import { ViewRequest } from "../engine.js" */
/** @import { GpuRenderer, Wanted } from "./renderer.js" */

/** What the renderer is asked for. @param {ViewRequest} request @param {{height: number, width: number}} size of the whole output @returns {Wanted} */
export function wantedOf({ model, stages, chain, window: { top, left, height, width } }, size) {
  return { model, stages, chain, size: [size.height, size.width], window: [top, left, height, width] };
}

/**
 * RGBA bytes of a view, its milliseconds, the factors of a cascade's stages, and the entropies that are painted; null as soon
 * as `isOver`. @param {GpuRenderer} renderer @param {ViewRequest} request @param {Wanted} wanted @param {() => boolean} isOver @param {(done: number) => void} [share]
 */
export async function drawRequest(renderer, { paint, head }, wanted, isOver, share) {
  const start = performance.now();
  if (!paint) {
    const drawn = await renderer.draw(wanted, isOver, share);
    return drawn && { ...drawn, span: null };
  }
  const { paintHead } = await import("../gpu_survey.js");
  const painted = await paintHead(renderer, wanted, { paint, head }, isOver);
  return painted && { ...painted, pixels: withAlpha(painted.rgb), milliseconds: performance.now() - start };
}
