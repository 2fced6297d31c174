// @ts-check
// How near a pane comes to the ground truth, in a few characters.

import { shownPanes } from "./panes.js";
import { state } from "./store.js";

/** @import { Pane } from "./panes.js" */

/** @param {Pane} pane @returns {number | undefined} decibels of the whole picture by its method */
const psnrOf = ({ model }) => state.scores.get(model)?.get(state.picture?.truth)?.psnr;

/** The score of a pane, and whether no other shown is better; nothing where it has none. @param {Pane} pane */
export function scoreOf(pane) {
  const psnr = psnrOf(pane);
  if (!psnr) return null;
  const others = shownPanes().map((each) => psnrOf(each) ?? -Infinity);
  return { text: `${psnr.toFixed(2)} dB`, best: others.filter(Number.isFinite).length > 1 && psnr === Math.max(...others) };
}
