// @ts-check
// Differences of two pictures in colours: how much brighter one is than the other, amplified.

import { diverging } from "./colours.js";
import { $$, make, root } from "./dom.js";
import { changed, state, subscribe } from "./store.js";

export const GAINS = [1, 2, 4, 8, 16, 32];

const LUMA = [65.738, 129.057, 25.064].map((part) => part / 256); // BT.601, as scores take it; of levels, 0..255
const MIDDLE = 127.5; // levels: that much at a gain of 1 has the brightest colour, as in a grey picture of a difference

const table = new Uint32Array(
  Uint8Array.from(Array.from({ length: 256 }, (_, at) => [...diverging(at / MIDDLE - 1), 255]).flat()).buffer,
);

/** @param {number} gain one of GAINS */
export function setGain(gain) {
  if (gain === state.gain) return;
  state.gain = gain;
  changed("gain");
}

/** How large a difference gets the brightest colour, in words. */
export const gainRange = () => `±${Math.round(MIDDLE / state.gain)} of 255`;

/**
 * Colour what `more` has more than `less`, pixel by pixel; clear where one of them is. It is written over `more`.
 * @param {ImageData} more @param {ImageData} less of the same size
 */
export function colourDifference(more, less) {
  const [a, b] = [more.data, less.data];
  const colours = new Uint32Array(a.buffer);
  const [red, green, blue] = LUMA.map((part) => part * state.gain);
  for (let pixel = 0, at = 0; pixel < colours.length; pixel += 1, at += 4) {
    if (!a[at + 3] || !b[at + 3]) {
      colours[pixel] = 0;
      continue;
    }
    const amplified = red * (a[at] - b[at]) + green * (a[at + 1] - b[at + 1]) + blue * (a[at + 2] - b[at + 2]);
    colours[pixel] = table[Math.round(Math.min(255, Math.max(0, MIDDLE + amplified)))];
  }
}

/** The menu of gains; `buildGains` hears it. */
export function gainMenu() {
  const options = GAINS.map((gain) => make("option", { value: gain }, `gain ×${gain}`));
  const menu = make("select", { class: "gain", "aria-label": "Gain of differences" }, ...options);
  menu.value = state.gain;
  menu.addEventListener("keydown", (event) => event.stopPropagation()); // its arrows choose, they do not pan
  return menu;
}

export function buildGains() {
  root.addEventListener("change", ({ target }) => target.matches(".gain") && setGain(Number(target.value)));
  subscribe(["gain"], showGain);
  showGain();
}

function showGain() {
  for (const gain of $$(".gain")) gain.value = state.gain;
  for (const range of $$(".range")) range.textContent = gainRange();
}
