// @ts-check
// Where things lie: between LR, output and screen, and which part of an output the view shows. Nothing here changes anything.

import { clamp, roundHalfEven } from "./numbers.js";
import { state } from "./store.js";

/** @import { Window } from "./engine.js" */
/** @import { Size } from "./numbers.js" */
/** @import { Place } from "./store.js" */

/**
 * @typedef {object} Target what a pass must render
 * @property {"exact" | "overview" | "preview"} pass
 * @property {number} scale
 * @property {Size} size
 * @property {Window} window
 * @property {boolean} [isTooSmall] whether the pane has far fewer pixels than this part of the small picture
 */

const NUDGE = 1e-6; // a pixel's edge that is whole but for rounding counts as whole
const COARSE_FACTOR = 4; // the preview has a sixteenth of the pixels
const OVERVIEW_FROM = 4.2; // a pane that would need this many times its own pixels (magnification under a half)
const OVERVIEW_AREA = 1.5; // is rendered with this many times its own, at a smaller scale, and says so

export const shownScale = () => Math.round(state.view.scale * 100) / 100;

/**
 * The whole output at a scale. Where it has a size of its own, `shownScale` is that of its rows, and at other scales it is
 * as much smaller.
 * @param {number} scale @returns {Size}
 */
export function outputSize(scale) {
  const { height, width } = state.picture;
  if (!state.size) return { height: roundHalfEven(height * scale), width: roundHalfEven(width * scale) };
  const part = scale / shownScale();
  return {
    height: Math.max(height, roundHalfEven(state.size.height * part)),
    width: Math.max(width, roundHalfEven(state.size.width * part)),
  };
}

/** What a question says of the size: the scale, and the size itself where that does not follow from it. @param {number} scale @param {Size} size */
export const sizeAsked = (scale, size) => ({ scale, size: state.size ? size : null });

/** Screen position of the corner of an output, on whole screen pixels: at magnification 1 pixels must meet pixels. @param {Size} size @returns {Place} */
export function origin(size) {
  const { magnification, y, x } = state.view;
  const whole = (place) => Math.round(place + 1e-3); // halves are common, and the digits of a link must not turn them
  return {
    y: whole(state.pane.height / 2 - ((y * size.height) / state.picture.height) * magnification),
    x: whole(state.pane.width / 2 - ((x * size.width) / state.picture.width) * magnification),
  };
}

/** @param {number} y @param {number} x @returns {Place} */
export function screenToLr(y, x) {
  const size = outputSize(shownScale());
  const corner = origin(size);
  const { magnification } = state.view;
  return {
    y: (((y - corner.y) / magnification) * state.picture.height) / size.height,
    x: (((x - corner.x) / magnification) * state.picture.width) / size.width,
  };
}

/** @param {number} y @param {number} x @returns {Place} */
export function lrToScreen(y, x) {
  const size = outputSize(shownScale());
  const corner = origin(size);
  const { magnification } = state.view;
  return {
    y: corner.y + ((y * size.height) / state.picture.height) * magnification,
    x: corner.x + ((x * size.width) / state.picture.width) * magnification,
  };
}

/** The part of an output of `size` that the view shows, as whole output pixels. @param {Size} size @returns {Window} */
export function visibleWindow(size) {
  const from = screenToLr(0, 0);
  const to = screenToLr(state.pane.height, state.pane.width);
  const perRow = size.height / state.picture.height;
  const perColumn = size.width / state.picture.width;
  const top = clamp(Math.floor(from.y * perRow + NUDGE), 0, size.height - 1);
  const left = clamp(Math.floor(from.x * perColumn + NUDGE), 0, size.width - 1);
  const bottom = clamp(Math.ceil(to.y * perRow - NUDGE), top + 1, size.height);
  const right = clamp(Math.ceil(to.x * perColumn - NUDGE), left + 1, size.width);
  return { top, left, height: bottom - top, width: right - left };
}

/** @param {Window} outer @param {Window} inner */
export const contains = (outer, inner) =>
  outer.top <= inner.top &&
  outer.left <= inner.left &&
  outer.top + outer.height >= inner.top + inner.height &&
  outer.left + outer.width >= inner.left + inner.width;

/**
 * What the last pass must render: the view itself, or, zoomed out too far for that, the same part at a smaller scale.
 * Where even x1 has far more pixels than the pane, that shows the small picture made smaller: so would every method.
 * @returns {Target}
 */
export function goal() {
  const scale = shownScale();
  const size = outputSize(scale);
  const window = visibleWindow(size);
  const area = window.height * window.width;
  const pane = state.pane.height * state.pane.width;
  const fits = area <= OVERVIEW_FROM * pane && area <= state.limits.view_pixels;
  if (state.picture.truth || fits) return { pass: "exact", scale, size, window };
  const smaller = Math.floor(100 * scale * Math.sqrt((OVERVIEW_AREA * pane) / area)) / 100;
  const part = { scale: Math.max(1, smaller), size: outputSize(Math.max(1, smaller)) };
  return { pass: "overview", ...part, window: visibleWindow(part.size), isTooSmall: smaller < 1 };
}

/** The same part at a quarter of the scale: quick, true to the model at that scale, and marked as a preview. @param {Target} target @returns {Target} */
export function preview(target) {
  const scale = Math.max(1, Math.round((100 * target.scale) / COARSE_FACTOR) / 100);
  const size = outputSize(scale);
  return { pass: "preview", scale, size, window: visibleWindow(size) };
}

/** Whether a part of an output of one size shows all of another part, at no less than a preview's scale. @param {{size: Size, window: Window}} part @param {Target} target */
export function isPreviewOf({ size, window }, target) {
  const y = target.size.height / size.height;
  const x = target.size.width / size.width;
  const [top, left] = [window.top * y, window.left * x];
  const enlarged = { top, left, height: window.height * y + 1e-6, width: window.width * x + 1e-6 };
  return y <= COARSE_FACTOR && x <= COARSE_FACTOR && contains(enlarged, target.window);
}

/** The output pixel that contains a place, at the present scale. @param {Place} place */
export function pixelOf({ y, x }) {
  const size = outputSize(shownScale());
  const whole = (place) => Math.floor(place + NUDGE);
  return {
    row: clamp(whole((y * size.height) / state.picture.height), 0, size.height - 1),
    column: clamp(whole((x * size.width) / state.picture.width), 0, size.width - 1),
    size,
  };
}

/** The middle of an output pixel. @param {{row: number, column: number, size: Size}} pixel @returns {Place} */
export const middleOf = ({ row, column, size }) => ({
  y: ((row + 0.5) * state.picture.height) / size.height,
  x: ((column + 0.5) * state.picture.width) / size.width,
});

export const pickedPixel = () => pixelOf(state.picked);

/** Whether a place lies in the picture. @param {Place} place */
export const isInside = ({ y, x }) => y >= 0 && x >= 0 && y < state.picture.height && x < state.picture.width;

/** The area that a stage's latents cover together. @param {{latents: [number, number][][], grid: [number, number]}} stage @returns {Place & Size} */
export function latentArea({ latents, grid }) {
  const height = state.picture.height / grid[0];
  const width = state.picture.width / grid[1];
  const [first, last] = [latents[0][0], latents.at(-1).at(-1)];
  return {
    y: first[0] + 0.5 - height / 2,
    x: first[1] + 0.5 - width / 2,
    height: last[0] - first[0] + height,
    width: last[1] - first[1] + width,
  };
}
