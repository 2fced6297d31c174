// @ts-check
// The loupe: while Z is held, or its button is on, every pane shows the place under the pointer larger, in step.

import { $ } from "./dom.js";
import { lrToScreen, shownScale } from "./geometry.js";
import { changed, state, subscribe } from "./store.js";

/** @import { Pane } from "./panes.js" */
/** @import { Place } from "./store.js" */

export const LOUPE_SIDE = 152; // CSS pixels
const [FACTOR, LARGE_FACTOR, LARGE_FROM] = [4, 2, 6]; // above ×6 four times would show a smear
const AWAY = 110; // from a finger, which would hide it

let held = false;
/** @type {Place | null} where it looks, in screen pixels of any pane */
let aim = null;
let away = 0; // how far below that it stands

export const isLoupeOn = () => state.loupe || held;

export const loupeFactor = () => (shownScale() > LARGE_FROM ? LARGE_FACTOR : FACTOR);

/** Look at a place of every pane. @param {Place} at in screen pixels @param {boolean} [finger] whether a finger lies there */
export function aimLoupe(at, finger = false) {
  aim = at;
  away = !finger ? 0 : at.y > AWAY + LOUPE_SIDE / 2 ? -AWAY : AWAY;
  if (isLoupeOn()) changed("loupe");
}

/** The part of a pane that it shows, in whole pixels of its canvas. */
export function loupeWindow() {
  const { y, x } = aim ?? { y: state.pane.height / 2, x: state.pane.width / 2 };
  const side = LOUPE_SIDE / loupeFactor();
  return { top: Math.round(y - side / 2), left: Math.round(x - side / 2), side };
}

/** @param {Pane} pane */
export function drawLoupe({ canvas, loupe }) {
  loupe.hidden = !isLoupeOn() || !state.picture;
  if (loupe.hidden) return;
  const { top, left, side } = loupeWindow();
  loupe.style.transform = `translate(${left - (LOUPE_SIDE - side) / 2}px, ${top - (LOUPE_SIDE - side) / 2 + away}px)`;
  const context = loupe.getContext("2d");
  context.clearRect(0, 0, LOUPE_SIDE, LOUPE_SIDE);
  context.imageSmoothingEnabled = false;
  context.drawImage(canvas, left, top, side, side, 0, 0, LOUPE_SIDE, LOUPE_SIDE);
}

function keyDown(event) {
  if (!/^z$/i.test(event.key) || event.ctrlKey || event.metaKey || event.altKey || held) return;
  const isOver = $(".panes").matches(":hover") && !event.target.closest?.("input, select, textarea");
  if (!isOver && !event.target.closest?.(".panes, .inspector")) return;
  held = true;
  changed("loupe");
}

function letGo() {
  if (!held) return;
  held = false;
  changed("loupe");
}

export function buildLoupe() {
  $(".loupe-toggle").addEventListener("click", () => {
    state.loupe = !state.loupe;
    changed("loupe");
  });
  document.addEventListener("keydown", keyDown);
  document.addEventListener("keyup", (event) => /^z$/i.test(event.key) && letGo());
  window.addEventListener("blur", letGo);
  subscribe(["loupe"], () => $(".loupe-toggle").setAttribute("aria-pressed", String(isLoupeOn())));
  subscribe(["pixel"], () => state.picked && aimLoupe(lrToScreen(state.picked.y, state.picked.x)));
}
