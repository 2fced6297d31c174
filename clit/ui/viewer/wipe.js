// @ts-check
// The wipe: the second pane lies over the first, cut off at a handle.

import { $, make } from "./dom.js";
import { clamp } from "./numbers.js";
import { changed, state, subscribe } from "./store.js";

function moveWipe(share) {
  state.wipe = clamp(share, 0, 1);
  changed("wipe");
}

function placeWipe() {
  const [, over] = state.panes;
  const handle = $(".wipe-handle");
  const share = state.wipe ?? 0;
  handle.hidden = state.wipe === null;
  over.stage.style.clipPath = state.wipe === null ? "" : `inset(0 0 0 ${100 * share}%)`;
  handle.style.left = `${100 * share}%`;
  handle.setAttribute("aria-valuenow", Math.round(100 * share));
}

export function buildWipe() {
  const handle = make("div", {
    class: "wipe-handle",
    role: "slider",
    tabindex: 0,
    hidden: true,
    "aria-label": "Where the second picture begins",
    "aria-valuemin": 0,
    "aria-valuemax": 100,
  });
  const place = (event) => {
    const box = state.panes[0].stage.getBoundingClientRect();
    moveWipe((event.clientX - box.left) / box.width);
  };
  handle.addEventListener("pointerdown", (event) => handle.setPointerCapture(event.pointerId));
  handle.addEventListener("pointermove", (event) => handle.hasPointerCapture(event.pointerId) && place(event));
  handle.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation(); // the viewer pans by arrows
    moveWipe(state.wipe + step);
  });
  $(".panes").append(handle);
  placeWipe();
  subscribe(["wipe"], placeWipe);
}
