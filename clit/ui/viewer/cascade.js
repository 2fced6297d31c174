// @ts-check
// How CLIT splits the scale.

import { $ } from "./dom.js";
import { isCascade, modelOf } from "./models.js";
import { times } from "./numbers.js";
import { finishedFrames, forgetFrames, shownPanes } from "./panes.js";
import { changed, state, subscribe } from "./store.js";

const SEAMS = {
  published: "Factors of 4 and a rest: a stage joins at ×4 and at ×16, and the picture changes there.",
  balanced: "As many equal factors, none over 4: a smaller step at ×16, and a third less work.",
};

export const CHAINS = Object.keys(SEAMS);

/** @param {string} chain */
export function setChain(chain) {
  if (chain === state.chain) return;
  state.chain = chain;
  forgetFrames(isCascade);
  for (const [name, model] of state.models) if (isCascade(model)) state.scores.delete(name);
  changed("chain", "scores");
}

/** The factors, as the newest frames tell; nothing while no pane shows a cascade. */
function showCascade() {
  const panes = shownPanes().filter((pane) => isCascade(modelOf(pane.model)));
  $(".cascade").hidden = !panes.length;
  const factors = panes.flatMap((pane) => finishedFrames(pane).slice(-1))[0]?.factors;
  $(".factors").textContent = factors?.length ? factors.map(times).join(" · ") : "";
  $(".chain").value = state.chain;
  $(".seam").textContent = SEAMS[state.chain];
}

export function buildCascade() {
  $(".chain").addEventListener("change", (event) => setChain(event.target.value));
  subscribe(["models", "picture", "panes", "frames", "chain"], showCascade);
}
