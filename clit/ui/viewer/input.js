// @ts-check
// Mouse, touch and keyboard on the panes.

import { $ } from "./dom.js";
import { clamp } from "./numbers.js";
import { showPanes, toggleBlink, toggleWipe } from "./panes.js";
import { point } from "./live.js";
import { aimLoupe, isLoupeOn } from "./loupe.js";
import { leavePlaces, showNextPlace } from "./places.js";
import { pick, pickPlace, pin, unpick, walk } from "./pixel.js";
import { changed, state } from "./store.js";
import { MAGNIFICATIONS, fit, pan, restsScale, setScale, stepMagnification, zoom } from "./view.js";

const DOUBLE_MS = 400; // two taps within this
const DOUBLE_PIXELS = 24; // and this are one double tap
const HOLD_MS = 400; // a finger that stops the blink for longer is no tap
const CLICK_PIXELS = 4; // a pointer that moved less than this has clicked

/** @type {Map<number, {y: number, x: number}>} pointers that are down, in client pixels */
const pointers = new Map();
/** @type {any} {moved, pane, began, held, pinch} */
let gesture = null;
let tapped = { time: -Infinity, y: 0, x: 0 }; // the last touch that was a tap
let before = state.picked; // what was picked before the last click
let gathered = 0; // turns of the wheel that have not yet made a step

function anchorOf(event, pane) {
  const box = (pane ?? event.target.closest(".pane")).querySelector("canvas").getBoundingClientRect();
  return { y: event.clientY - box.top, x: event.clientX - box.left };
}

function pinchState() {
  const [a, b] = [...pointers.values()];
  return { distance: Math.hypot(a.y - b.y, a.x - b.x), y: (a.y + b.y) / 2, x: (a.x + b.x) / 2 };
}

function pointerDown(event) {
  if (event.button > 0 || !event.target.closest(".stage")) return;
  event.target.closest(".stage").setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, { y: event.clientY, x: event.clientX });
  if (pointers.size === 1) gesture = { moved: 0, pane: event.target.closest(".pane"), began: event.timeStamp };
  if (pointers.size === 1 && event.pointerType === "touch") aimLoupe(anchorOf(event), true);
  if (pointers.size === 2) Object.assign(gesture, { moved: Infinity, pinch: pinchState() });
}

/** Whether the chosen map lies on the pictures: the other way round. */
export function toggleMap() {
  state.mapPainted = !state.mapPainted;
  changed("maps");
}

function pointerMove(event) {
  if (event.pointerType !== "touch" && event.target.closest(".stage")) {
    point(anchorOf(event));
    aimLoupe(anchorOf(event));
  }
  const last = pointers.get(event.pointerId);
  if (!last) return;
  const [dy, dx] = [event.clientY - last.y, event.clientX - last.x];
  pointers.set(event.pointerId, { y: event.clientY, x: event.clientX });
  if (pointers.size === 2) return pinch();
  gesture.moved += Math.abs(dy) + Math.abs(dx);
  if (event.pointerType === "touch" && isLoupeOn()) return aimLoupe(anchorOf(event, gesture.pane), true);
  if (gesture.moved < CLICK_PIXELS) {
    gesture.held = { dy: (gesture.held?.dy ?? 0) + dy, dx: (gesture.held?.dx ?? 0) + dx };
    return;
  }
  const held = gesture.held ?? { dy: 0, dx: 0 }; // what was moved before it counted as a drag
  gesture.held = null;
  pan(dy + held.dy, dx + held.dx);
}

function pinch() {
  const now = pinchState();
  const before = gesture.pinch;
  gesture.pinch = now;
  const anchor = anchorOf({ clientY: now.y, clientX: now.x }, gesture.pane);
  pan(now.y - before.y, now.x - before.x);
  const stretch = now.distance / Math.max(before.distance, 1);
  if (!restsScale()) return setScale(state.view.scale * stretch, anchor);
  const magnification = clamp(state.view.magnification * stretch, MAGNIFICATIONS[0], MAGNIFICATIONS.at(-1));
  zoom({ magnification }, anchor);
}

function pointerUp(event) {
  if (!pointers.delete(event.pointerId)) return;
  if (event.type !== "pointerup" || event.pointerType !== "touch" || gesture.moved >= CLICK_PIXELS) return;
  if (state.blink !== null && event.timeStamp - gesture.began > HOLD_MS) return;
  const at = anchorOf(event, gesture.pane);
  const isSecond = event.timeStamp - tapped.time < DOUBLE_MS && Math.hypot(at.y - tapped.y, at.x - tapped.x) < DOUBLE_PIXELS;
  tapped = { ...at, time: isSecond ? -Infinity : event.timeStamp }; // a third tap is a first one again
  click(at, isSecond);
}

function mouseClick(event) {
  if (!event.target.closest(".stage") || gesture.moved >= CLICK_PIXELS) return;
  click(anchorOf(event, gesture.pane), event.detail === 2);
}

// A click picks. The second of two on one place fits the picture, and takes back what the first one picked.
function click({ y, x }, isSecond) {
  if (isSecond) {
    if (before) pickPlace(before);
    else unpick();
    return fit();
  }
  before = state.picked;
  pick(y, x);
  $(".panes").focus({ preventScroll: true }); // from here the arrow keys walk the pixel
}

function wheel(event) {
  if (!event.target.closest(".stage")) return;
  event.preventDefault();
  const delta = clamp(event.deltaY * (event.deltaMode === 1 ? 30 : 1), -150, 150);
  const anchor = anchorOf(event);
  if (!event.ctrlKey && !restsScale()) return setScale(state.view.scale * Math.exp(-delta / 1000), anchor);
  // Touchpads send many small steps: gather them until they make one.
  gathered += event.ctrlKey && Math.abs(delta) < 40 ? 4 * delta : delta;
  if (Math.abs(gathered) < 80) return;
  stepMagnification(-Math.sign(gathered), anchor);
  gathered = 0;
}

// Arrows walk the held pixel, by eight with Shift; where none is held they pan.
function arrow(event, down, right) {
  const stride = event.shiftKey ? 8 : 1;
  const step = event.shiftKey ? 8 : 64;
  if (state.picked) walk(down * stride, right * stride);
  else pan(-down * step, -right * step);
}

/** Enlarge by a step: by magnification where the scale rests, as the wheel does. @param {1 | -1} step */
const grow = (step) => (restsScale() ? stepMagnification(step) : setScale(state.view.scale * 1.05 ** step));

/** What a key does on the panes. @param {KeyboardEvent} event */
export function viewerKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const actions = {
    ArrowUp: () => arrow(event, -1, 0),
    ArrowDown: () => arrow(event, 1, 0),
    ArrowLeft: () => arrow(event, 0, -1),
    ArrowRight: () => arrow(event, 0, 1),
    "+": () => grow(1),
    "=": () => grow(1),
    "-": () => grow(-1),
    ">": () => stepMagnification(1),
    "<": () => stepMagnification(-1),
    w: toggleWipe,
    W: toggleWipe,
    b: toggleBlink,
    B: toggleBlink,
    f: fit,
    F: fit,
    h: toggleMap,
    H: toggleMap,
    p: pin,
    P: pin,
    Enter: () => pick(state.pane.height / 2, state.pane.width / 2),
    d: showNextPlace,
    D: showNextPlace,
    Escape: () => {
      unpick();
      leavePlaces();
    },
    ...Object.fromEntries([1, 2, 3, 4].map((count) => [count, () => showPanes(count)])),
  };
  if (!actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
}

export function buildInput() {
  const panes = $(".panes");
  panes.addEventListener("pointerdown", pointerDown);
  panes.addEventListener("pointermove", pointerMove);
  panes.addEventListener("pointerup", pointerUp);
  panes.addEventListener("pointercancel", pointerUp);
  for (const left of [panes, $(".dock")]) {
    left.addEventListener("pointerleave", ({ relatedTarget }) => relatedTarget?.closest(".panes, .dock") || point(null));
  }
  panes.addEventListener("wheel", wheel, { passive: false });
  panes.addEventListener("click", mouseClick);
  // A tap opens the sheet: the click that browsers make of it would land on what is there by then.
  panes.addEventListener("touchend", (event) => event.cancelable && event.target.closest(".stage") && event.preventDefault());
  panes.addEventListener("keydown", viewerKey);
}
