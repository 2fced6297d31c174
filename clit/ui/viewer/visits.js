// @ts-check
// A visit: it begins, opens what a link asks for, and begins anew when the server has forgotten it.

import { setChain } from "./cascade.js";
import { $ } from "./dom.js";
import { followLink, readLink } from "./links.js";
import { modelOf, variants } from "./models.js";
import { complain } from "./notice.js";
import { clamp } from "./numbers.js";
import { choose, showPanes } from "./panes.js";
import { offerExamples, openExample, openPicture, showCaption, showPicture } from "./pictures.js";
import { ask, serverUrl } from "./server.js";
import { FIRST_PANES, changed, state, subscribe } from "./store.js";
import { changeView } from "./view.js";

/** Begin a visit: what the server offers, or nothing. */
async function begin() {
  const offer = await ask("begin");
  if (offer.error) {
    complain(offer.error);
    return null;
  }
  state.token = offer.token;
  state.kinds = offer.kinds;
  state.filmFrames = offer.film_frames;
  state.limits = offer.limits;
  state.models = new Map(offer.models.flatMap(variants).map((model) => [model.name, model]));
  changed("models");
  return offer;
}

/** The first visit of the page. @param {boolean} asked whether its address asks for something */
export async function arrive(asked) {
  const offer = await begin();
  if (!offer) return;
  if (offer.duplicate) Object.assign($(".duplicate"), { href: offer.duplicate, hidden: false });
  const link = readLink(location.hash.slice(1));
  link.panes.forEach((model, index) => state.models.has(model) && choose(state.panes[index], model));
  offerExamples(offer.examples);
  setChain(link.chain);
  if (link.panes.length || link.wipe) {
    showPanes(link.panes.length || FIRST_PANES.length, link.wipe ? clamp(link.wipe, 0, 1) : null);
  }
  $(".panes").closest(".clit-page").dataset.ready = "yes";
  const names = offer.examples.map((example) => example.name);
  const first = names.includes(link.example) ? link.example : names[0];
  if (!first) return showCaption("Upload a picture to begin.");
  await openExample(first);
  if (!state.picture) return;
  if (!asked) return openMethods();
  const missing = [...(link.example && link.example !== first ? [link.example] : []), ...link.unknown];
  if (missing.length) complain(`This link asks for what is not here: ${missing.join(", ").slice(0, 80)}. The rest is shown.`);
  if (link.truth) {
    await openPicture({ truth: link.truth, example: first });
    link.panes.forEach((model, index) => modelOf(model) && choose(state.panes[index], model));
  }
  followLink(link);
}

/** Show the methods that differ most where the open example opens. */
function openMethods() {
  const methods = state.picture.place?.methods ?? [];
  methods.forEach((model, index) => state.models.has(model) && state.panes[index] && choose(state.panes[index], model));
}

/** The server has forgotten this visit (a long pause, or a restart): begin another, and reopen what can be reopened. */
async function returnAgain() {
  if (state.forgotten === null) return;
  const sentence = state.forgotten;
  const example = state.picture?.example;
  const view = { ...state.view };
  const offer = await begin();
  state.forgotten = null;
  changed("opening");
  if (!offer) return;
  if (example) {
    await openExample(example);
    return changeView(view);
  }
  showPicture(null);
  complain(sentence);
}

export function buildVisits() {
  window.addEventListener("pagehide", () => state.token && navigator.sendBeacon(serverUrl("end"), state.token));
  subscribe(["forgotten"], returnAgain);
}
