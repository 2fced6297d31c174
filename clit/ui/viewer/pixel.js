// @ts-check
// The picked pixel, the pinned ones, and what they looked at.

import { showTab } from "./dock.js";
import { engine } from "./engine.js";
import { isInside, lrToScreen, middleOf, pickedPixel, pixelOf, screenToLr, shownScale, sizeAsked } from "./geometry.js";
import { isKnown } from "./maps.js";
import { complain } from "./notice.js";
import { clamp, sameSize } from "./numbers.js";
import { shownMethods } from "./panes.js";
import { isHeld } from "./passes.js";
import { changed, state, subscribe } from "./store.js";
import { changeView } from "./view.js";

/** @import { Failure, Look } from "./engine.js" */
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
  if (state.live && isSamePixel(state.live, state.picked)) state.looks = new Map(state.live.looks); // known already
}

/** Hold the pixel under the pointer, if none is held. */
export function hold() {
  if (!state.picked && state.live) pickPlace(state.live);
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
  hold();
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

/** The pixel whose maps are shown: the picked one, else that under the pointer. @returns {LookedAt | null} */
export const shownPixel = () => (state.picked ? { ...state.picked, looks: state.looks } : state.live);

/** The picked pixel and the pinned ones. @returns {LookedAt[]} */
export const lookedAt = () => [...(state.picked ? [{ ...state.picked, looks: state.looks }] : []), ...state.pins];

/**
 * What is to be asked of a place: its pixel, and those methods whose looks are not at hand. Looks of methods that are no
 * longer shown are forgotten.
 * @param {LookedAt} place
 */
export function missingLooks(place) {
  const { chain } = state;
  const names = inspected();
  const pixel = pixelOf(place);
  for (const name of place.looks.keys()) if (!names.includes(name)) place.looks.delete(name);
  const isFresh = (look) =>
    look.row === pixel.row && look.column === pixel.column && sameSize(look.size, pixel.size) && look.chain === chain && isKnown(look);
  const models = names.filter((name) => !(place.looks.has(name) && isFresh(place.looks.get(name))));
  return { models, chain, scale: shownScale(), influence: state.quantity === "influence", ...pixel };
}

/**
 * What a pixel looked at by several methods, in one question.
 * @param {ReturnType<typeof missingLooks>} asked @returns {Promise<Map<string, Look> | Failure | null>}
 */
export async function askLooks({ models, chain, scale, size, row, column, influence }) {
  const answer = await engine.inspect({ models, chain, ...sizeAsked(scale, size), row, column, influence });
  if (!(answer instanceof Map)) return answer;
  const asked = { row, column, size, scale, chain };
  return new Map([...answer].map(([name, seen]) => [name, { ...asked, answer: seen }]));
}

/** Ask what the picked and pinned pixels looked at, one round at a time; if they have moved meanwhile, ask again. */
async function lookAgain() {
  if (state.looking || isHeld() || !lookedAt().length) return;
  const { picture } = state;
  const missing = lookedAt()
    .map((place) => ({ looks: place.looks, asked: missingLooks(place) }))
    .filter(({ asked }) => asked.models.length);
  if (!missing.length) return;
  state.looking = true;
  changed("looks");
  const answers = await Promise.all(missing.map(({ asked }) => askLooks(asked)));
  state.looking = false;
  changed("looks");
  if (picture !== state.picture) return lookAgain();
  missing.forEach(({ looks }, index) => {
    const answer = answers[index];
    if (answer instanceof Map) for (const [name, look] of answer) looks.set(name, look);
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
  subscribe(["rest", "picture", "opening", "panes", "chain", "pixel", "pins", "maps"], lookAgain);
}
