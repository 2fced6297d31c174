// @ts-check
// What panes of LIT and CLIT show: their colours, or, of a head, how wide or whereto it looks.

import { drawWheel } from "./colours.js";
import { $, make } from "./dom.js";
import { modelOf } from "./models.js";
import { forgetFrames, shownPanes } from "./panes.js";
import { changed, state, subscribe } from "./store.js";

export const PAINTS = {
  colours: { label: "colours", note: "" },
  entropy: {
    label: "entropy of attention",
    note: "In bits, over the range that its pane tells: at 5.6 all neighbours count alike, at 0 one alone",
  },
  direction: { label: "direction of attention", note: "Where a pixel's weight falls, seen from it; dark: all around" },
};

/** @param {string} paint one of PAINTS @param {number} head */
export function setPaint(paint, head) {
  if (paint === state.paint && head === state.head) return;
  state.paint = paint;
  state.head = head;
  forgetFrames((model) => model?.kind === "attention");
  changed("paint");
}

/** The choice, with its colours explained; nothing while no pane attends. */
function showPaint() {
  const models = shownPanes().map((pane) => modelOf(pane.model));
  const heads = Math.max(0, ...models.filter((model) => model?.available && !model.error).map((model) => model.heads ?? 0));
  $(".paint").hidden = !heads;
  $(".paint-key").hidden = !heads || state.paint === "colours";
  if (!heads) return;
  const head = $(".paint-head");
  if (head.options.length !== heads + 1) {
    const named = Array.from({ length: heads }, (_, index) => make("option", { value: index + 1 }, `head ${index + 1}`));
    head.replaceChildren(make("option", { value: 0 }, "all heads"), ...named);
  }
  if (state.head > heads) setPaint(state.paint, 0);
  head.value = state.head;
  head.hidden = state.paint === "colours";
  $(".paint-what").value = state.paint;
  const together = state.paint === "entropy" && !state.head ? "; all heads: the mean of their entropies" : "";
  $(".paint-note").textContent = PAINTS[state.paint].note + together;
  $(".paint-bar").hidden = state.paint !== "entropy";
  $(".paint-wheel").hidden = state.paint !== "direction";
}

export function buildPaint() {
  $(".paint-what").replaceChildren(...Object.entries(PAINTS).map(([value, { label }]) => make("option", { value }, label)));
  drawWheel($(".paint-wheel"));
  $(".paint-what").addEventListener("change", (event) => setPaint(event.target.value, state.head));
  $(".paint-head").addEventListener("change", (event) => setPaint(state.paint, Number(event.target.value)));
  subscribe(["models", "picture", "panes", "paint"], showPaint);
}
