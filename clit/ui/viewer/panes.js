// @ts-check
// The panes: which method each shows, how many there are, and what they have been answered.

import { modelOf } from "./models.js";
import { changed, state } from "./store.js";

/** @import { Frame } from "./engine.js" */

/**
 * @typedef {object} Pane
 * @property {string} model name of what it shows; "input" is the small picture
 * @property {Frame[]} frames what it has been answered
 * @property {number} newest number of the newest view among these
 * @property {any} request what it waits for
 * @property {number} failed number of the view that could not be answered
 * @property {any} element
 * @property {any} menu
 * @property {any} name
 * @property {any} mark
 * @property {any} canvas
 * @property {any} overlay
 * @property {any} empty
 * @property {any} stage
 */

/** What a pane has before it is answered anything. */
export const unanswered = () => ({ frames: [], newest: 0, request: null, failed: -1 });

/** Whether the first two panes lie in one place. */
export const isStacked = () => state.wipe !== null || state.blink !== null;

export const shownPanes = () => state.panes.slice(0, isStacked() ? 2 : state.paneCount);

/** Names of the methods shown for which `wants` holds, each once. @param {(model: any) => boolean} wants */
export const shownMethods = (wants) =>
  [...new Set(shownPanes().map((pane) => modelOf(pane.model)?.of))].filter((name) => {
    const model = state.models.get(name);
    return model?.available && wants(model);
  });

/** @param {Pane} pane @param {string} model */
export function choose(pane, model) {
  Object.assign(pane, { model, ...unanswered() });
  changed("panes");
}

/**
 * Show the first so many panes, or two of them in one place; the others keep what they have.
 * @param {number} count @param {{wipe?: number | null, blink?: number | null}} [stack]
 */
export function showPanes(count, { wipe = null, blink = null } = {}) {
  Object.assign(state, { paneCount: count, wipe, blink });
  changed("panes", "wipe", "blink", "layout");
}

export const toggleWipe = () => showPanes(state.paneCount, { wipe: state.wipe === null ? 0.5 : null });

export const toggleBlink = () => showPanes(state.paneCount, { blink: state.blink === null ? 0 : null });

/** Forget what panes were answered whose method `wants`. @param {(model: any) => boolean} wants */
export function forgetFrames(wants) {
  for (const pane of state.panes) if (wants(modelOf(pane.model))) Object.assign(pane, unanswered());
}

/** Whether a pane shows where its heads look instead of what they make. @param {Pane} pane */
export function isPainted(pane) {
  const model = modelOf(pane.model);
  return Boolean(state.paint !== "colours" && model?.available && model.kind === "attention" && !model.error);
}

/** The newest frame and the last two finished ones: enough to stretch from while the next is on its way. @param {Pane} pane @param {Frame} frame */
export function keepFrame(pane, frame) {
  pane.newest = frame.wanted;
  pane.frames = [...finishedFrames(pane).slice(-2), frame];
}

/** @param {Pane} pane */
export const finishedFrames = (pane) => pane.frames.filter((frame) => frame.pass !== "preview");
