// @ts-check
// The engine of a saved page: it has one view, and computes what every pixel of that looked at.

import { attend, attendByDistance, readSource } from "./attention.js";
import { isPainted } from "./panes.js";
import { state } from "./store.js";

/** @import { Source } from "./attention.js" */
/** @import { Engine, PixelRequest, Seen } from "./engine.js" */

const FAILURE = { error: "This saved page knows its own view alone: open the live page to go further." };

/** @param {any} saved what `saveView` returned @returns {Engine} */
export function savedEngine(saved) {
  /** @type {Map<string, Source>} */
  const sources = new Map(Object.entries(saved.sources).map(([name, sent]) => [name, readSource(sent)]));
  const { top, left, height, width } = saved.window;

  /** @param {PixelRequest} request */
  async function inspect({ models, row, column }) {
    if (row < top || column < left || row >= top + height || column >= left + width) return FAILURE;
    return new Map(models.map((name) => [name, look(name, row, column)]));
  }

  /** @param {string} name @param {number} row @param {number} column @returns {Seen} */
  function look(name, row, column) {
    const size = saved.outputSize;
    const source = sources.get(name);
    return {
      kind: source ? "attention" : "ensemble",
      size: [size.height, size.width],
      pixel: [row, column],
      rgb: colourAt(name, row, column),
      stages: source ? attend(source, state.picture, size, row, column) : attendByDistance(state.picture, size, row, column),
    };
  }

  const fail = async () => FAILURE;
  const send = async () => ({ example: "" });
  return { begin: fail, send, open: fail, view: fail, progress: async () => [], inspect, differences: fail, score: fail, sources: fail };
}

/** The colour that a method's pane gives a pixel, if it shows that very pixel. @param {string} name @param {number} row @param {number} column */
function colourAt(name, row, column) {
  const pane = state.panes.find((each) => each.model === name);
  const frame = pane?.frames.at(-1);
  if (frame?.pass !== "exact" || isPainted(pane)) return null;
  const { top, left, height, width } = frame.window;
  if (row < top || column < left || row >= top + height || column >= left + width) return null;
  const canvas = new OffscreenCanvas(1, 1);
  const context = canvas.getContext("2d");
  context.drawImage(frame.bitmap, left - column, top - row);
  return [...context.getImageData(0, 0, 1, 1).data.subarray(0, 3)];
}
