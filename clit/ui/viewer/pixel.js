// @ts-check
// The picked pixel, the pinned ones, and what they looked at.

import { showTab } from "./dock.js";
import { engine } from "./engine.js";
import { isInside, lrToScreen, middleOf, pickedPixel, pixelOf, screenToLr, shownScale, sizeAsked } from "./geometry.js";
import { complain } from "./notice.js";
import { clamp, sameSize } from "./numbers.js";
import { shownMethods } from "./panes.js";
import { isHeld } from "./passes.js";
import { changed, state, subscribe } from "./store.js";
import { changeView } from "./view.js";

/** @import { LookedAt, Place } from "./store.js" */

export const MOST_PINS = 4;

/** Pick the pixel at a place of a pane. @param {number} y @param {number} x */
export function pick(y, x) {
  if (!state.picture) return;
  const at = screenToLr(y, x);
  if (!isInside(at)) return;
  pickPlace(at);
  showTab("attention");
}

/** @param {Place} place */
export function pickPlace({ y, x }) {
  state.picked = { y, x };
  walk(0, 0);
}

/** Move the picked place by whole output pixels, to the middle of the one it lands in. @param {number} rows @param {number} columns */
export function walk(rows, columns) {
  const { row, column, size } = pickedPixel();
  state.picked = middleOf({
    row: clamp(row + rows, 0, size.height - 1),
    column: clamp(column + columns, 0, size.width - 1),
    size,
  });
  state.hovered = null;
  changed("pixel", "hover");
}

export function unpick() {
  state.picked = null;
  state.looks.clear();
  state.hovered = null;
  changed("pixel", "hover");
}

/** Names of the methods shown that look at neighbours. */
export const inspected = () => shownMethods((model) => model.kind !== "plain");

/** Whether two places lie in the same output pixel. @param {Place} a @param {Place} b */
const isSamePixel = (a, b) => pixelOf(a).row === pixelOf(b).row && pixelOf(a).column === pixelOf(b).column;

export const isPinned = () => Boolean(state.picked && state.pins.some((pin) => isSamePixel(pin, state.picked)));

/** Keep the picked pixel beside those that are picked next, to be compared with them; once more lets it go. */
export function pin() {
  if (!state.picked || !state.picture) return;
  const at = state.pins.findIndex((each) => isSamePixel(each, state.picked));
  if (at >= 0) return unpin(at);
  if (state.pins.length === MOST_PINS) return complain(`There are ${MOST_PINS} pinned pixels: let one go first.`);
  state.pins.push({ ...state.picked, looks: new Map(state.looks) });
  changed("pins");
}

/** @param {number} index */
export function unpin(index) {
  complain(""); // that there were too many
  state.pins.splice(index, 1);
  changed("pins");
}

/** The picked pixel and the pinned ones. @returns {LookedAt[]} */
export const lookedAt = () => [...(state.picked ? [{ ...state.picked, looks: state.looks }] : []), ...state.pins];

/** What is not yet known of what these looked at. Looks of methods that are no longer shown are forgotten. */
function missingLooks() {
  const { chain } = state;
  const scale = shownScale();
  const names = inspected();
  const missing = [];
  for (const place of lookedAt()) {
    const { row, column, size } = pixelOf(place);
    for (const name of place.looks.keys()) if (!names.includes(name)) place.looks.delete(name);
    for (const name of names) {
      const look = place.looks.get(name);
      const fresh = look && look.row === row && look.column === column && sameSize(look.size, size) && look.chain === chain;
      if (!fresh) missing.push({ name, looks: place.looks, row, column, size, scale, chain });
    }
  }
  return missing;
}

/** Ask what the picked and pinned pixels looked at, one round at a time; if they have moved meanwhile, ask again. */
async function lookAgain() {
  if (state.looking || isHeld() || !lookedAt().length) return;
  const { picture } = state;
  const missing = missingLooks();
  if (!missing.length) return;
  state.looking = true;
  changed("looks");
  const answers = await Promise.all(
    missing.map(({ name, row, column, size, scale, chain }) =>
      engine.inspect({ model: name, chain, ...sizeAsked(scale, size), row, column }),
    ),
  );
  state.looking = false;
  changed("looks");
  if (picture !== state.picture) return lookAgain();
  missing.forEach(({ name, looks, ...asked }, index) => {
    const answer = answers[index];
    if (answer && "stages" in answer) looks.set(name, { ...asked, answer });
  });
  const failed = answers.find((answer) => answer && "error" in answer && !answer.expired);
  if (failed && "error" in failed) complain(failed.error);
  else lookAgain();
}

// A pixel that walks out of the panes, or that they shrink away from, is followed.
function keepInSight() {
  if (!state.picked || !state.picture || !state.pane.width) return;
  const { y, x } = lrToScreen(state.picked.y, state.picked.x);
  const half = state.view.magnification / 2; // of the pixel may be enough
  const seen = y >= -half && x >= -half && y <= state.pane.height + half && x <= state.pane.width + half;
  if (!seen) changeView({ ...state.picked });
}

export function buildPixel() {
  subscribe(["pixel", "layout"], keepInSight);
  subscribe(["rest", "picture", "opening", "panes", "chain", "pixel", "pins"], lookAgain);
}
