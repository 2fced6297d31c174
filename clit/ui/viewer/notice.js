// @ts-check
// One sentence about what went wrong, above the panes.

import { $ } from "./dom.js";

/** @param {string} sentence an empty one takes the last one back */
export function complain(sentence) {
  $(".notice").hidden = !sentence;
  $(".notice p").textContent = sentence;
}

export function buildNotice() {
  $(".notice-close").addEventListener("click", () => complain(""));
}
