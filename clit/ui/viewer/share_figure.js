// @ts-check
// A figure for a paper, as a file that the server writes: what held and pinned pixels looked at.

import { $, $$ } from "./dom.js";
import { pixelOf } from "./geometry.js";
import { saveLooks } from "./look_files.js";
import { isPhone } from "./menus.js";
import { inspected, lookedAt } from "./pixel.js";
import { save } from "./share.js";
import { state, subscribe } from "./store.js";

function saveFigure(event) {
  const suffix = event.currentTarget.value;
  save(() => saveLooks(inspected(), lookedAt().map(pixelOf), suffix));
}

/** Why there can be no figure now, if so. */
function figureRests() {
  if (!inspected().length) return "No pane shows a method that looks at neighbours: choose LIIF, LIT or CLIT in one.";
  if (!lookedAt().length) return isPhone() ? "Tap a pixel first: it shows what that looked at." : "Hold a pixel first, by a click: it shows what that looked at.";
  return "";
}

function showFigure() {
  const rests = state.picture ? figureRests() : "";
  for (const button of $$(".share-figure .button")) button.disabled = state.sharing || !state.picture || Boolean(rests);
  $("#clit-figure-what").textContent = rests || "What held and pinned pixels looked at, by every method shown and head";
}

export function buildShareFigure() {
  for (const button of $$(".share-figure .button")) button.addEventListener("click", saveFigure);
  subscribe(["models", "picture", "panes", "pixel", "pins", "sharing"], showFigure);
  showFigure();
}
