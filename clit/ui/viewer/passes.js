// @ts-check
// What panes ask for: stretch at once, then a preview, then the exact pass.

import { engine } from "./engine.js";
import { contains, goal, isPreviewOf, preview, sizeAsked } from "./geometry.js";
import { modelOf } from "./models.js";
import { complain } from "./notice.js";
import { sameSize } from "./numbers.js";
import { covered, finishedFrames, isPainted, isReturned, keepFrame, sources } from "./panes.js";
import { changed, state, subscribe } from "./store.js";

/** @import { Frame } from "./engine.js" */
/** @import { Target } from "./geometry.js" */
/** @import { Source } from "./panes.js" */

const COARSE_FROM = 2; // below this scale a quarter of it is no scale at all
const COARSE_WORTH_MS = 150; // an exact pass quicker than this needs no preview

/** Whether nothing may be asked about the open picture now. */
export const isHeld = () => !state.picture || state.opening || state.forgotten !== null;

/** Whether a frame is what the last pass must render. @param {Frame} frame @param {Target} target */
export const reaches = (frame, target) =>
  frame.pass !== "preview" && sameSize(covered(frame).size, target.size) && contains(covered(frame).window, target.window);

/** The frame of a pane that needs no better one, if there is one. @param {Source} pane @param {Target} target */
export const finishedFrame = (pane, target) => pane.frames.findLast((frame) => reaches(frame, target));

/** What a pane can be drawn from, from the roughest to the finest. @param {Source} pane @returns {Frame[]} */
export function framesOf(pane) {
  const ahead = isPainted(pane) ? undefined : state.ahead.get(pane.model);
  return (ahead ? [ahead, ...pane.frames] : [...pane.frames]).sort((a, b) => a.size.height - b.size.height);
}

/** Of the frames at hand, the finest that previews the target. @param {Source} pane @param {Target} target */
export const previewOf = (pane, target) =>
  framesOf(pane).findLast(
    (frame) =>
      (frame.pass === "preview" && frame.wanted === state.wanted) || // made to be, whatever rounding made of it
      isPreviewOf(covered(frame), target),
  );

/** Whether every pane shows its last pass, or cannot. */
export const areFinished = () =>
  sources().every((pane) => {
    const awaited = modelOf(pane.model)?.available && pane.failed !== state.wanted;
    return !awaited || goal().isTooSmall || finishedFrame(pane, goal());
  });

/** Ask for the pass this pane needs next, if it needs one and is not already waiting for it. @param {Source} pane */
function pump(pane) {
  if (!modelOf(pane.model)?.available || pane.failed === state.wanted) return;
  const target = goal();
  if (target.isTooSmall || finishedFrame(pane, target)) return;
  if (pane.request?.wanted === state.wanted) return;
  // While the hand moves, a preview on its way is let arrive: else nothing would until the hand rests.
  if (pane.request?.pass === "preview" && !state.rested) return;
  if (!previewOf(pane, target) && previewHelps(pane, target)) requestPass(pane, preview(target));
  else if (state.rested) requestPass(pane, target);
}

/** @param {Source} pane @param {Target} target */
function previewHelps(pane, target) {
  if (target.scale < COARSE_FROM || pane.model === "truth" || isReturned(pane) || modelOf(pane.model).error) return false;
  const last = finishedFrames(pane).at(-1);
  const area = target.window.height * target.window.width;
  return !last || (last.milliseconds * area) / (last.window.height * last.window.width) > COARSE_WORTH_MS;
}

/** @param {Source} pane @param {Target} target */
async function requestPass(pane, { pass, scale, size, window }) {
  const { picture, chain, paint, head, wanted } = state;
  const { of, stop, error } = modelOf(pane.model);
  const asked = performance.now();
  const ticket = { pass, wanted, picture, model: pane.model, chain, paint, head, asked, share: 0 };
  pane.request = ticket;
  const request = {
    model: of,
    stages: stop ?? null,
    error: Boolean(error),
    kind: /** @type {"preview" | "exact"} */ (pass === "preview" ? "preview" : "exact"),
    chain,
    ...(isPainted(pane) ? { paint, head } : {}),
    ...sizeAsked(scale, size),
    window,
    wanted,
  };
  const answer = await engine.view(request, () => pane.request !== ticket || wanted !== state.wanted);
  if (pane.request === ticket) pane.request = null;
  const current = ticket.model === pane.model && ["picture", "chain", "paint", "head"].every((key) => ticket[key] === state[key]);
  if (current && answer) {
    if ("error" in answer) {
      if (!answer.expired) {
        pane.failed = wanted;
        complain(answer.error);
      }
    } else if (wanted >= pane.newest) {
      keepFrame(pane, {
        ...answer,
        ...{ pass, scale, wanted, trip: performance.now() - asked },
        covers: isReturned(pane) ? { size, window } : undefined,
      });
    }
  }
  changed("frames");
}

export function buildPasses() {
  const topics = /** @type {const} */ (["view", "rest", "picture", "opening", "panes", "layout", "frames", "chain", "paint"]);
  subscribe([...topics], () => {
    if (isHeld()) return;
    for (const pane of sources()) pump(pane);
  });
}
