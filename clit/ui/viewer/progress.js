// @ts-check
// How far a slow view is: asked for now and then, once a pane has waited for a while.

import { engine } from "./engine.js";
import { modelOf } from "./models.js";
import { sources } from "./panes.js";
import { changed, subscribe } from "./store.js";

const SLOW_MS = 1500; // what comes sooner needs no word
const AGAIN_MS = 700;

let timer = 0;

const slowPanes = () => sources().filter(({ request }) => request && performance.now() - request.asked > SLOW_MS);

function lookSoon() {
  if (!timer && sources().some(({ request }) => request)) timer = setTimeout(look, slowPanes().length ? AGAIN_MS : SLOW_MS);
}

async function look() {
  const panes = slowPanes();
  const views = panes.length ? await engine.progress() : [];
  for (const { model, request } of panes) {
    const { of, stop, error } = modelOf(model) ?? {};
    const own = views.find((view) => view.model === of && view.stages === (stop ?? null) && view.error === Boolean(error));
    if (request && own) request.share = own.share;
  }
  timer = 0;
  if (views.length) changed("progress");
  lookSoon();
}

export function buildProgress() {
  subscribe(["frames", "view", "rest", "panes"], lookSoon);
}
