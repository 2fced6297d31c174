// @ts-check
// A visit: it begins, opens what a link asks for, and begins anew when the server has forgotten it.

import { setChain } from "./cascade.js";
import { $, root } from "./dom.js";
import { engine } from "./engine.js";
import { followLink, readLink, writeLink } from "./links.js";
import { isPhone } from "./menus.js";
import { modelOf, variants } from "./models.js";
import { complain } from "./notice.js";
import { clamp } from "./numbers.js";
import { choose, showPanes } from "./panes.js";
import { offerExamples, openExample, openPicture, showCaption, showPicture } from "./pictures.js";
import { serverUrl } from "./server.js";
import { FIRST_PANES, changed, state, subscribe } from "./store.js";
import { openAsAsked } from "./truth.js";

/** @typedef {ReturnType<typeof readLink>} Link */

const PHONE_VIEW = { example: "pagoda.png", panes: ["bicubic", "lit-light"], wipe: 0.5 }; // how a phone begins

/** Begin a visit: what the server offers, or nothing. */
async function begin() {
  const offer = await engine.begin();
  if ("error" in offer) {
    complain(offer.error);
    return null;
  }
  state.token = offer.token;
  state.kinds = offer.kinds;
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
  offerExamples(offer.examples, (name) => openAsAsked(() => openExample(name)));
  const link = readLink(location.hash.slice(1));
  if (!asked && isPhone()) Object.assign(link, PHONE_VIEW);
  const names = (state.examples = offer.examples.map((example) => example.name));
  const example = names.includes(link.example) ? link.example : names[0];
  showAsked(link);
  root.dataset.ready = "yes";
  if (!example) return showCaption("Upload a picture to begin.");
  const missing = [...(asked && link.example && link.example !== example ? [link.example] : []), ...link.unknown];
  await openLink({ ...link, example });
  if (!asked && !isPhone()) openMethods();
  tellMissing(missing);
}

/** Panes, wipe and cascade as a link asks for them. @param {Link} link */
function showAsked(link) {
  link.panes.forEach((model, index) => (model === "input" || modelOf(model)) && choose(state.panes[index], model));
  setChain(link.chain);
  if (link.panes.length || link.wipe || link.blink !== null) {
    showPanes(link.panes.length || FIRST_PANES.length, { wipe: link.wipe ? clamp(link.wipe, 0, 1) : null, blink: link.blink });
  }
}

/** Open what a link asks for. @param {Link} link */
async function openLink(link) {
  if (!(await openExample(link.example))) return;
  if (link.truth && (await openPicture({ truth: link.truth, example: link.example }))) showAsked(link);
  followLink(link);
}

/**
 * Follow a link on the open page: in the picture that is open, where it asks for no other.
 * @param {Link} link @param {string} [whole] the picture it was written about, if the page itself wrote it
 */
export async function follow(link, whole) {
  complain("");
  const { picture } = state;
  const isKnown = !link.example || state.examples.includes(link.example);
  if (!link.example && whole && whole !== picture?.whole) {
    return complain("That place lies in a picture of your own that is no longer open: open it again to go there.");
  }
  const isOpen = picture && (!link.example || !isKnown || link.example === picture.example);
  if (!isOpen && !(await openExample(link.example))) return;
  if (link.truth !== state.picture.truth && !(await openPicture({ truth: link.truth, example: state.picture.example }))) return;
  showAsked(link);
  followLink(link);
  tellMissing([...(isKnown ? [] : [link.example]), ...link.unknown]);
}

/** @param {string[]} missing what a link asks for and is not here */
function tellMissing(missing) {
  if (missing.length) complain(`This link asks for what is not here: ${missing.join(", ").slice(0, 80)}. The rest is shown.`);
}

/** Show the methods that differ most where the open example opens. */
function openMethods() {
  const methods = state.picture?.place?.methods ?? [];
  methods.forEach((model, index) => state.models.has(model) && state.panes[index] && choose(state.panes[index], model));
}

/** The server has forgotten this visit (a long pause, or a restart): begin another, and reopen what can be reopened. */
async function returnAgain() {
  if (state.forgotten === null) return;
  const sentence = state.forgotten;
  const left = state.picture && writeLink();
  const offer = await begin();
  state.forgotten = null;
  changed("opening");
  if (!offer) return;
  const link = readLink(left ?? "");
  if (link.example) return openLink(link);
  showPicture(null);
  complain(sentence);
}

export function buildVisits() {
  window.addEventListener("pagehide", () => state.token && navigator.sendBeacon(serverUrl("end"), state.token));
  subscribe(["forgotten"], returnAgain);
}
