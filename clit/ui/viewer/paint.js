// @ts-check
// What panes show: their colours; of a head of LIT or CLIT, how wide or whereto it looks; or what does not come back.

import { drawWheel } from "./colours.js";
import { gainMenu } from "./difference.js";
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
  "entropy-mean": {
    label: "entropy per neighbour",
    note: "In bits, over the range that its pane tells: the mean over the pixels nearest to each neighbour (latent)",
  },
  direction: { label: "direction of attention", note: "Where a pixel's weight falls, seen from it; dark: all around" },
  returned: {
    label: "what does not come back",
    note: "Made small again, less the small picture: black is true to it; dB of what is seen. It tells how true, not how sharp",
  },
};

const OF_HEADS = ["entropy", "entropy-mean", "direction"];

/** @param {string} paint one of PAINTS @param {number} head */
export function setPaint(paint, head) {
  if (paint === state.paint && head === state.head) return;
  const others = [paint, state.paint].includes("returned"); // it concerns methods without heads as well
  state.paint = paint;
  state.head = head;
  forgetFrames((model) => others || model?.kind === "attention", state.panes);
  changed("paint");
}

/** The choice, with its colours explained; nothing while no pane has a choice. */
function showPaint() {
  const models = shownPanes().map((pane) => modelOf(pane.model)).filter((model) => model?.available && !model.error && !model.parts);
  const heads = Math.max(0, ...models.map((model) => model.heads ?? 0));
  const isOfHeads = OF_HEADS.includes(state.paint);
  $(".paint").hidden = !models.length;
  $(".paint-key").hidden = isOfHeads ? !heads : !models.length || state.paint === "colours";
  for (const option of $(".paint-what").options) {
    option.disabled = OF_HEADS.includes(option.value) && !heads;
    option.textContent = PAINTS[option.value].label + (option.disabled ? ": choose LIT or CLIT in a pane" : "");
  }
  $(".paint-what").value = state.paint;
  $(".paint-head").hidden = !heads || !isOfHeads;
  showKey();
  if (!heads) return;
  const head = $(".paint-head");
  if (head.options.length !== heads + 1) {
    const named = Array.from({ length: heads }, (_, index) => make("option", { value: index + 1 }, `head ${index + 1}`));
    head.replaceChildren(make("option", { value: 0 }, "all heads"), ...named);
  }
  if (state.head > heads) setPaint(state.paint, 0);
  head.value = state.head;
}

function showKey() {
  const isEntropy = ["entropy", "entropy-mean"].includes(state.paint);
  const together = isEntropy && !state.head ? "; all heads: the mean of their entropies" : "";
  $(".paint-note").textContent = PAINTS[state.paint].note + together;
  $(".paint-bar").hidden = !isEntropy;
  $(".returned-bar").hidden = state.paint !== "returned";
  $(".paint-wheel").hidden = state.paint !== "direction";
}

export function buildPaint() {
  $(".paint-what").replaceChildren(...Object.entries(PAINTS).map(([value, { label }]) => make("option", { value }, label)));
  drawWheel($(".paint-wheel"));
  $(".returned-bar").append(gainMenu());
  $(".paint-what").addEventListener("change", (event) => setPaint(event.target.value, state.head));
  $(".paint-head").addEventListener("change", (event) => setPaint(state.paint, Number(event.target.value)));
  subscribe(["models", "picture", "panes", "paint"], showPaint);
}
