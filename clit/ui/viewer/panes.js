// @ts-check
// The panes: which method each shows, how many there are, and what they have been answered.

import { modelOf } from "./models.js";
import { changed, state } from "./store.js";

/** @import { Frame } from "./engine.js" */

/**
 * What asks for views of one method: a pane, or a part of a difference that no pane shows.
 * @typedef {object} Source
 * @property {string} model name of what it shows; "input" is the small picture
 * @property {boolean} isPart
 * @property {Frame[]} frames what it has been answered
 * @property {number} newest number of the newest view among these
 * @property {any} request what it waits for
 * @property {number} failed number of the view that could not be answered
 */

/**
 * @typedef {object} PaneElements
 * @property {any} element
 * @property {any} menu
 * @property {any} name
 * @property {any} decibel how near it is to the ground truth
 * @property {any} mark
 * @property {any} canvas
 * @property {any} overlay
 * @property {any} empty
 * @property {any} stage
 * @property {any} loupe
 * @property {any} key what the colours of a difference mean
 */

/** @typedef {Source & PaneElements & {method: string}} Pane `method`: the last it showed that needs no ground truth */

/** What a source has before it is answered anything. */
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
  // Its difference from another can be told at once.
  if (modelOf(model)?.parts?.includes(pane.model) && !isPainted(pane)) {
    const { frames, newest } = pane;
    state.parts.set(pane.model, { model: pane.model, isPart: true, ...unanswered(), frames, newest });
  }
  const method = model === "input" || state.models.has(model) ? model : pane.method;
  Object.assign(pane, { model, method, ...unanswered() });
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

/**
 * The two that a pane shows the difference of, if it does: those that panes show, else sources of its own.
 * @param {Pane} pane @returns {Source[] | null}
 */
export function partsOf(pane) {
  const { parts } = modelOf(pane.model) ?? {};
  return (
    parts?.map((model) => {
      const shown = shownPanes().find((each) => each.model === model && !isPainted(each));
      if (!shown && !state.parts.has(model)) state.parts.set(model, { model, isPart: true, ...unanswered() });
      return shown ?? state.parts.get(model);
    }) ?? null
  );
}

/** All that ask for views now, each once. @returns {Source[]} */
export const sources = () => [...new Set(shownPanes().flatMap((pane) => partsOf(pane) ?? [pane]))];

/**
 * Forget what was answered of methods that `wants`.
 * @param {(model: any) => boolean} wants @param {Source[]} [among]
 */
export function forgetFrames(wants, among = [...state.panes, ...state.parts.values()]) {
  for (const each of among) if (wants(modelOf(each.model))) Object.assign(each, unanswered());
}

/** Whether a pane shows something else than the colours that its method makes. @param {Source} pane */
export function isPainted(pane) {
  if (pane.isPart || state.paint === "colours") return false;
  const model = modelOf(pane.model);
  if (!model?.available || model.error || model.parts) return false;
  return state.paint === "returned" || model.kind === "attention";
}

/** Whether a pane shows what of its output does not come back when it is made small again. @param {Source} pane */
export const isReturned = (pane) => state.paint === "returned" && isPainted(pane);

/** The part of the output that a frame stands for. @param {Frame} frame */
export const covered = (frame) => frame.covers ?? frame;

/** The newest frame and the last two finished ones: enough to stretch from while the next is on its way. @param {Source} pane @param {Frame} frame */
export function keepFrame(pane, frame) {
  pane.newest = frame.wanted;
  pane.frames = [...finishedFrames(pane).slice(-2), frame];
}

/** @param {Source} pane */
export const finishedFrames = (pane) => pane.frames.filter((frame) => frame.pass !== "preview");
