// @ts-check
// What panes show: pictures from what they have been answered, and in a few characters where they stand.

import { colourDifference } from "./difference.js";
import { goal, origin, outputSize, shownScale } from "./geometry.js";
import { drawLoupe } from "./loupe.js";
import { modelOf } from "./models.js";
import { clamp, sameSize, seconds, times } from "./numbers.js";
import { drawOverlay } from "./overlay.js";
import { isReturned, partsOf, shownPanes } from "./panes.js";
import { finishedFrame, framesOf, previewOf } from "./passes.js";
import { state, subscribe } from "./store.js";

/** @import { Frame, Window } from "./engine.js" */
/** @import { Size } from "./numbers.js" */
/** @import { Pane, Source } from "./panes.js" */

const NARROW = 230; // screen pixels: a caption has room for a dozen characters there

let drawing = false;
let marking = false; // what lies over them alone

/** Whether the panes do not yet show what has changed. */
export const isDrawing = () => drawing;

function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    for (const pane of shownPanes()) {
      drawPane(pane);
      markPane(pane);
      drawOverlay(pane);
      drawLoupe(pane);
    }
  });
}

function drawOverlays() {
  if (drawing || marking) return;
  marking = true;
  requestAnimationFrame(() => {
    marking = false;
    drawOverlaysNow();
  });
}

function drawOverlaysNow() {
  for (const pane of shownPanes()) {
    drawOverlay(pane);
    drawLoupe(pane);
  }
}

/** @type {OffscreenCanvasRenderingContext2D[]} where the two parts of a difference are drawn */
let scratch = [];

/** @param {Pane} pane */
function drawPane(pane) {
  const context = pane.canvas.getContext("2d");
  context.clearRect(0, 0, pane.canvas.width, pane.canvas.height);
  if (!state.picture) return;
  const parts = partsOf(pane);
  if (parts) drawDifference(context, parts.map((part) => (each) => drawSource(each, part)));
  else if (isReturned(pane)) drawDifference(context, [(each) => drawReturned(each, pane), (each) => drawLayer(each, smallLayer(), isShrunk())]);
  else drawSource(context, pane);
}

/** @typedef {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} Context */

/** Draw what the first of two pictures has more than the second. @param {CanvasRenderingContext2D} context @param {((context: Context) => void)[]} parts */
function drawDifference(context, parts) {
  const { height, width } = state.pane;
  if (scratch[0]?.canvas.width !== width || scratch[0].canvas.height !== height) {
    scratch = parts.map(() => new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true }));
  }
  const [more, less] = parts.map((part, index) => {
    scratch[index].clearRect(0, 0, width, height);
    part(scratch[index]);
    return scratch[index].getImageData(0, 0, width, height);
  });
  colourDifference(more, less);
  context.putImageData(more, 0, 0);
}

/** The small picture. */
function smallLayer() {
  const { bitmap, height, width } = state.picture;
  return { bitmap, size: { height, width }, window: { top: 0, left: 0, height, width } };
}

/** Whether a pixel of the small picture is smaller than one of the screen. */
const isShrunk = () => shownScale() * state.view.magnification < 1;

/** Draw what has come back, in the small picture's pixels. @param {Context} context @param {Source} pane */
function drawReturned(context, pane) {
  const target = goal();
  if (target.isTooSmall) return drawLayer(context, smallLayer(), isShrunk());
  const finished = finishedFrame(pane, target);
  for (const frame of finished ? [finished] : pane.frames) drawLayer(context, frame, isShrunk());
}

/** @param {Context} context @param {Source} pane */
function drawSource(context, pane) {
  const small = smallLayer();
  if (pane.model === "input") return drawLayer(context, small, false);
  if (!modelOf(pane.model)?.available) return;
  const target = goal();
  if (target.isTooSmall) return drawLayer(context, small, true);
  const finished = finishedFrame(pane, target);
  if (finished) return drawLayer(context, finished, state.view.magnification < 1 || finished.pass === "overview");
  // Until then: whatever is at hand, stretched, from the roughest to the finest.
  if (!state.saved) drawLayer(context, small, true);
  const same = (frame) => sameSize(frame.size, target.size);
  const frames = framesOf(pane);
  const { magnification } = state.view;
  const isUneven = magnification < 1 || (state.saved && !Number.isInteger(magnification));
  for (const frame of [...frames.filter((each) => !same(each)), ...frames.filter(same)]) {
    drawLayer(context, frame, !same(frame) || isUneven);
  }
}

/**
 * Draw a part of some rendering of the picture where it belongs in the present view.
 * @param {Context} context @param {{bitmap: ImageBitmap, size: Size, window: Window}} layer @param {boolean} smooth
 */
function drawLayer(context, { bitmap, size, window }, smooth) {
  const shown = outputSize(shownScale());
  const corner = origin(shown);
  const stepY = (shown.height / size.height) * state.view.magnification; // screen pixels per pixel of the layer
  const stepX = (shown.width / size.width) * state.view.magnification;
  const margin = 2; // keeps the edge of the cut out of the smoothing
  const top = clamp(Math.floor(-corner.y / stepY) - window.top - margin, 0, window.height);
  const left = clamp(Math.floor(-corner.x / stepX) - window.left - margin, 0, window.width);
  const bottom = clamp(Math.ceil((state.pane.height - corner.y) / stepY) - window.top + margin, 0, window.height);
  const right = clamp(Math.ceil((state.pane.width - corner.x) / stepX) - window.left + margin, 0, window.width);
  if (bottom <= top || right <= left) return;
  context.imageSmoothingEnabled = smooth;
  context.imageSmoothingQuality = state.view.magnification < 1 ? "high" : "low";
  context.drawImage(
    bitmap,
    left,
    top,
    right - left,
    bottom - top,
    corner.x + (window.left + left) * stepX,
    corner.y + (window.top + top) * stepY,
    (right - left) * stepX,
    (bottom - top) * stepY,
  );
}

/** Which pass is on screen and how long it took. @param {Pane} pane */
function markPane(pane) {
  const model = modelOf(pane.model);
  const parts = partsOf(pane);
  const [pass, text, title] = parts ? differenceStatus(parts, model) : paneStatus(pane, model);
  pane.element.dataset.pass = pass;
  pane.element.dataset.busy = (parts ?? [pane]).some((each) => each.request) ? "yes" : "no";
  pane.mark.textContent = text;
  pane.mark.title = title;
  pane.empty.hidden = !(state.picture && pane.model !== "input" && model && !model.available);
  pane.empty.textContent = pane.empty.hidden ? "" : model.reason;
}

/** Whether captions have little room: the two of a wipe share one pane. */
const isNarrow = () => state.pane.width / (state.wipe === null ? 1 : 2) < NARROW;

/** In a narrow pane the mark's full dot alone says that it is exact. @param {string} what */
const exactly = (what) => (isNarrow() ? what : `exact, ${what}`);

/** Who drew, where that was the visitor's own GPU and there is room for it. @param {Frame} frame */
function ownWord({ by, span }) {
  if (by !== "your GPU") return "";
  return isNarrow() ? (span ? "" : ", GPU") : ", your GPU";
}

/** How true an output is to the small picture. @param {Frame} frame */
const returned = ({ psnr }) => (psnr === null ? "comes back whole" : `${psnr.toFixed(1)} dB`);

/** @param {number} others @returns {[string, string]} */
const crowdStatus = (others) => [
  others === 1 ? "1 other is drawing" : `${others} others are drawing`,
  "The server is busy with other visitors: the last picture stays until it is this pane's turn",
];

const PASSES = ["failed", "none", "stretched", "preview", "overview", "exact"]; // from the worst

/** A difference stands where the worse of its parts does. @param {Source[]} parts @param {any} model */
function differenceStatus(parts, model) {
  const found = parts.map((part) => paneStatus(part, modelOf(part.model)));
  const worse = found.reduce((a, b) => (PASSES.indexOf(b[0]) < PASSES.indexOf(a[0]) ? b : a));
  return worse[0] === "exact" ? ["exact", exactly("brightness"), model.about] : worse;
}

const zoomWord = () => (matchMedia("(hover: hover)").matches ? "zoom in by Ctrl + wheel" : "zoom in");

/** @param {Source} pane @param {any} model */
function paneStatus(pane, model) {
  if (!state.picture) return ["none", "", ""];
  if (pane.model === "input")
    return ["input", `${state.picture.width} × ${state.picture.height}`, "Its own pixels, drawn as squares"];
  if (!model?.available) return ["none", "no weights", model?.reason ?? ""];
  if (pane.failed === state.wanted) return ["failed", "failed", "Move the view to try again"];
  const target = goal();
  if (target.isTooSmall)
    return ["input", `the input: ${zoomWord()}`, "This pane has fewer pixels than the small picture, so all methods would look like it here"];
  const frame = state.saved ? pane.frames.at(-1) : finishedFrame(pane, target); // a saved page has no better one
  if (state.saved && !frame) return ["none", "not drawn", "This view was saved before the method could draw it"];
  const took = (each) => seconds(each.milliseconds);
  const detail = (each) => `${each.by ? `Drawn by ${each.by}` : "Computed"} in ${took(each)}, on screen after ${seconds(each.trip)}`;
  const told = (each) => (each.span ? `${each.span.map((bits) => bits.toFixed(1)).join("–")} bits` : each.covers ? returned(each) : took(each));
  if (frame && pane.model === "truth") return ["exact", `${frame.size.width} × ${frame.size.height}`, detail(frame)];
  if (frame?.pass === "exact") return ["exact", exactly(told(frame)) + ownWord(frame), detail(frame)];
  if (frame)
    return [
      "overview",
      `overview, from ${times(frame.scale)}, ${took(frame)}`,
      `The whole output has far more pixels than this pane: rendered at ${times(frame.scale)} instead. ` + detail(frame),
    ];
  if (pane.request && state.crowd) return [previewOf(pane, target) ? "preview" : "stretched", ...crowdStatus(state.crowd)];
  const rough = previewOf(pane, target);
  const drawn = pane.request?.share ? `drawing, ${Math.round(100 * pane.request.share)} %` : "";
  if (rough)
    return [
      "preview",
      drawn || `rough, from ${times(rough.scale)}`,
      `Rendered at ${times(rough.scale)} and stretched; the exact pass follows`,
    ];
  const some = pane.frames.length > 0;
  return ["stretched", drawn || (some ? "stretched" : "waiting"), "The last picture, stretched; the next pass follows"];
}

export function buildDrawing() {
  subscribe(["models", "picture", "view", "panes", "layout", "frames", "gain", "chain", "paint", "crowd", "progress"], draw);
  subscribe(["pixel", "pins", "looks", "maps", "hover", "loupe", "places", "traces", "dock"], drawOverlays);
  subscribe(["live"], () => drawing || drawOverlaysNow()); // before the next frame begins, not in it: so it comes sooner
}
