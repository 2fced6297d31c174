// @ts-check
// How fast a graphics processor draws every model: for the page that shows it to visitors, and for
// analysis/gpu_adapters.mjs, which has no page.

import { roundHalfEven } from "./numbers.js";

/** @import { Raster } from "./resampling.js" */
/** @import { Networks } from "./site_drawing.js" */
/** @import { Size } from "./numbers.js" */

export const SCALES = [2, 4, 12, 30];
export const COLUMNS = ["Model", "Scale", "Window", "First, ms", "Again, ms"];

const AGAIN = 5; // times after the first, at most
const MOST_MS = 2000; // after which one more is enough

/** @typedef {{scale: number, window: Size, first: number, again: number}} Times in milliseconds */

/** @param {number[]} values */
export const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** What the adapter calls itself. @returns {Promise<string>} */
export async function nameAdapter() {
  const adapter = await /** @type {any} */ (navigator).gpu?.requestAdapter({ powerPreference: "high-performance" });
  const { vendor, architecture, device, description } = adapter?.info ?? {};
  const told = [vendor, architecture, device, description].filter(Boolean).join(" ");
  return (told || "an adapter without a name") + (adapter?.info?.isFallbackAdapter ? ", which is software" : "");
}

/**
 * Time the middle of what a model makes of a picture: the first time with its encoder, and the median of some more.
 * @param {Networks} networks @param {Raster} raster @param {string} model @param {number} scale @param {Size} most of the window @returns {Promise<Times>}
 */
export async function timeView(networks, raster, model, scale, most) {
  const size = { height: roundHalfEven(raster.height * scale), width: roundHalfEven(raster.width * scale) };
  const [height, width] = [Math.min(most.height, size.height), Math.min(most.width, size.width)];
  const window = { top: (size.height - height) >> 1, left: (size.width - width) >> 1, height, width };
  const fresh = { ...raster }; // another picture, as far as anyone can tell: what was made of the old one is not used
  const times = [];
  for (const start = performance.now(); times.length < 2 || (times.length <= AGAIN && performance.now() - start < MOST_MS); ) {
    const began = performance.now();
    await networks.draw(fresh, { model, stages: null, chain: "published", size, window }, () => false, () => {});
    times.push(performance.now() - began);
  }
  return { scale, window, first: times[0], again: median(times.slice(1)) };
}

/** The cells of a line of the table. @param {string} label of the model @param {Times} times */
export const cellsOf = (label, { scale, window, first, again }) => [label, `×${scale}`, `${window.width} × ${window.height}`, first.toFixed(1), again.toFixed(1)];

/** The table in Markdown, with its adapter. @param {string} adapter @param {string[][]} rows */
export function asText(adapter, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [adapter, "", line(COLUMNS), line(COLUMNS.map(() => "---")), ...rows.map(line)].join("\n");
}
