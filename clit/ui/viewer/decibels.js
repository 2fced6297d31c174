// @ts-check
// How near a pane comes to the ground truth, in a few characters.

import { modelOf } from "./models.js";
import { isPainted, shownPanes } from "./panes.js";
import { state, subscribe } from "./store.js";

/** @import { Pane } from "./panes.js" */

/** @param {Pane} pane @returns {number | undefined} decibels of the whole picture by its method, where it shows that or its error */
function psnrOf(pane) {
  const { of, stop, parts } = modelOf(pane.model) ?? {};
  return stop || parts || isPainted(pane) ? undefined : state.scores.get(of)?.get(state.picture?.truth)?.psnr;
}

/** Whether a pane shows a method that is scored, sooner or later. @param {Pane} pane */
function isScored(pane) {
  const { of, stop, parts, available } = modelOf(pane.model) ?? {};
  return Boolean(available) && of !== "truth" && !stop && !parts && !isPainted(pane);
}

/** The score of a pane, and whether no other shown is better, once all are known; nothing where it has none. @param {Pane} pane */
export function scoreOf(pane) {
  const psnr = psnrOf(pane);
  if (!psnr) return null;
  const all = shownPanes().filter(isScored).map(psnrOf);
  const best = new Set(all).size > 1 && !all.includes(undefined) && psnr === Math.max(...all.map((each) => each ?? Infinity));
  return { text: `${psnr.toFixed(2)} dB`, best };
}

function showDecibels() {
  for (const pane of shownPanes()) {
    const score = scoreOf(pane);
    pane.decibel.textContent = score?.text ?? "";
    pane.decibel.dataset.best = score?.best ? "yes" : "no";
    pane.decibel.title = score ? `PSNR of the whole picture, luma${score.best ? ": the best of those shown" : ""}` : "";
  }
}

export function buildDecibels() {
  subscribe(["picture", "panes", "paint", "scores"], showDecibels);
}
