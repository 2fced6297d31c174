// @ts-check
// How the view changes: scale, magnification, place, size.

import { outputSize, screenToLr, shownScale } from "./geometry.js";
import { clamp, sameSize } from "./numbers.js";
import { changed, state, subscribe } from "./store.js";

/** @import { Size } from "./numbers.js" */
/** @import { Place } from "./store.js" */

export const MAGNIFICATIONS = [1 / 16, 1 / 12, 1 / 8, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 1, 2, 3, 4, 6, 8, 12, 16];
const FLIGHT_MS = 400;
const SETTLE_MS = 40; // the exact pass waits until the view has rested this long

let resting = 0;

/** @param {Partial<typeof state.view>} change */
export function changeView(change) {
  Object.assign(state.view, change);
  if (state.picture) {
    state.view.y = clamp(state.view.y, 0, state.picture.height);
    state.view.x = clamp(state.view.x, 0, state.picture.width);
  }
  renewView();
  changed("view");
}

/** Whatever panes show is asked for anew, and nothing older is taken for it. */
function renewView() {
  state.wanted += 1;
  state.changedAt = performance.now();
  state.rested = false;
  clearTimeout(resting);
  resting = setTimeout(() => {
    state.rested = true;
    changed("rest");
  }, SETTLE_MS);
}

/** Change the scale or magnification and keep the LR point under `anchor` (screen, of any pane) where it is. @param {Partial<typeof state.view>} change @param {Place} [anchor] */
export function zoom(change, anchor) {
  const { height, width } = state.pane;
  const { y, x } = anchor ?? { y: height / 2, x: width / 2 };
  if (!state.picture) return changeView(change);
  const fixed = screenToLr(y, x);
  Object.assign(state.view, change);
  const size = outputSize(shownScale());
  const perRow = (size.height / state.picture.height) * state.view.magnification;
  const perColumn = (size.width / state.picture.width) * state.view.magnification;
  changeView({ y: fixed.y - (y - height / 2) / perRow, x: fixed.x - (x - width / 2) / perColumn });
}

/** Whether the scale cannot be changed: a picture with its ground truth was made for one, a saved page has one. */
export const restsScale = () => Boolean(state.picture?.truth || state.saved);

/** @param {number} scale @param {Place} [anchor] */
export function setScale(scale, anchor) {
  if (restsScale()) return changed("view"); // the fields show that again
  state.size = null;
  zoom({ scale: clamp(scale, 1, state.limits.scale) }, anchor);
}

/** @param {Size} size */
export function setSize(size) {
  state.size = null;
  const scale = clamp(size.height / state.picture.height, 1, state.limits.scale);
  const rounded = Math.round(scale * 100) / 100;
  const plain = sameSize(size, outputSize(rounded));
  if (!plain) state.size = size;
  changeView({ scale: plain ? rounded : scale });
}

/** @param {number} steps @param {Place} [anchor] */
export function stepMagnification(steps, anchor) {
  const now = state.view.magnification;
  const nearest = MAGNIFICATIONS.reduce((best, each) =>
    Math.abs(Math.log(each / now)) < Math.abs(Math.log(best / now)) ? each : best,
  );
  let index = MAGNIFICATIONS.indexOf(nearest) + steps;
  if (steps > 0 && nearest > now * 1.001) index -= 1; // from between two, the next one up or down
  if (steps < 0 && nearest < now * 0.999) index += 1;
  zoom({ magnification: MAGNIFICATIONS[clamp(index, 0, MAGNIFICATIONS.length - 1)] }, anchor);
}

/** The whole picture in the pane, or all that a saved page has of it. */
export function fit() {
  if (!state.picture) return;
  const size = outputSize(shownScale());
  const { y, x, height, width } = state.saved ?? { y: 0, x: 0, ...state.picture };
  const down = (state.pane.height * state.picture.height) / (size.height * height);
  const across = (state.pane.width * state.picture.width) / (size.width * width);
  const exact = Math.min(down, across);
  const whole = MAGNIFICATIONS.filter((each) => each <= exact).at(-1) ?? MAGNIFICATIONS[0];
  const magnification = exact < 1 || state.saved ? clamp(exact, MAGNIFICATIONS[0], MAGNIFICATIONS.at(-1)) : whole;
  changeView({ magnification, y: y + height / 2, x: x + width / 2 });
}

/** Move to a place, seen on the way; a hand that moves the view takes over. @param {Place} place */
export function flyTo({ y, x }) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return changeView({ y, x });
  const [from, began] = [{ y: state.view.y, x: state.view.x }, performance.now()];
  let last = from;
  const step = (now) => {
    if (state.view.y !== last.y || state.view.x !== last.x) return;
    const passed = clamp((now - began) / FLIGHT_MS, 0, 1);
    const share = passed * passed * (3 - 2 * passed);
    changeView({ y: from.y + (y - from.y) * share, x: from.x + (x - from.x) * share });
    last = { y: state.view.y, x: state.view.x };
    if (passed < 1) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

/** Move the picture by screen pixels. @param {number} dy @param {number} dx */
export function pan(dy, dx) {
  if (!state.picture) return;
  const size = outputSize(shownScale());
  changeView({
    y: state.view.y - ((dy / state.view.magnification) * state.picture.height) / size.height,
    x: state.view.x - ((dx / state.view.magnification) * state.picture.width) / size.width,
  });
}

export function buildView() {
  subscribe(["layout", "chain", "paint"], renewView);
}
