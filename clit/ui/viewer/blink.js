// @ts-check
// Blink: two panes in one place, seen in turn. Space, or a finger, holds the one that is seen; where motion is to be kept
// low nothing turns by itself, and they show the second pane as long as they are held.

import { $ } from "./dom.js";
import { changed, state, subscribe } from "./store.js";

const TURN_MS = 667; // one and a half turns a second
const STILL = matchMedia("(prefers-reduced-motion: reduce)");

let held = false;
let timer = 0;

/** @param {number} index */
function see(index) {
  state.blink = index;
  changed("blink");
}

/** @param {boolean} now */
function hold(now) {
  if (state.blink === null || held === now) return;
  held = now;
  if (STILL.matches) see(held ? 1 : 0);
  else turnOrRest();
}

function turnOrRest() {
  const turns = state.blink !== null && !held && !STILL.matches;
  if (turns === Boolean(timer)) return;
  clearInterval(timer);
  timer = turns ? setInterval(() => see(1 - state.blink), TURN_MS) : 0;
}

function showBlink() {
  const on = state.blink !== null;
  if (!on) held = false;
  turnOrRest();
  state.panes.forEach((pane, index) => (pane.element.dataset.seen = on && index === state.blink ? "yes" : "no"));
  const note = $(".blink-note");
  note.hidden = !on;
  if (!on) return;
  const hand = matchMedia("(pointer: coarse)").matches ? "a finger" : "Space";
  note.textContent = STILL.matches ? `Hold ${hand} to see the second` : `Hold ${hand} to stop on one`;
}

function spaceKey(event) {
  if (event.key !== " " || event.target !== $(".panes") || state.blink === null) return;
  event.preventDefault();
  hold(event.type === "keydown");
}

function touch(event) {
  if (event.pointerType === "touch" && (event.type !== "pointerdown" || event.target.closest(".stage"))) hold(event.type === "pointerdown");
}

export function buildBlink() {
  const panes = $(".panes");
  panes.addEventListener("keydown", spaceKey);
  panes.addEventListener("keyup", spaceKey);
  panes.addEventListener("blur", () => hold(false));
  for (const type of ["pointerdown", "pointerup", "pointercancel"]) panes.addEventListener(type, touch);
  STILL.addEventListener("change", () => {
    if (state.blink !== null) see(0);
    turnOrRest();
  });
  subscribe(["blink"], showBlink);
}
