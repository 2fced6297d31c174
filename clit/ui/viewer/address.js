// @ts-check
// The address bar: it follows the view, Back and Forward walk through places that were held, and a link that is put there
// is followed.

import { readLink, writeLink } from "./links.js";
import { state, subscribe } from "./store.js";
import { follow } from "./visits.js";

const WRITE_MS = 300; // the address follows the view at this pace: browsers refuse to be told more often
const HELD_MS = 2000; // Back leads to places that were held this long

let address = ""; // what was last written there, or followed
let held = false; // whether the place in the address was held: the next one gets an entry of its own
let writing = 0;
let holding = 0;
/** @type {object | null} the link being followed, while the address is not the view's */
let following = null;

function keepAddress() {
  writing ||= setTimeout(() => {
    writing = 0;
    if (!following) writeAddress();
  }, WRITE_MS);
}

function writeAddress() {
  if (!state.picture) return;
  const link = `#${writeLink()}`;
  if (link === address) return;
  const entry = { ...history.state, whole: state.picture.whole };
  try {
    if (held) history.pushState(entry, "", link);
    else history.replaceState(entry, "", link);
  } catch (error) {
    console.warn(error); // a frame that may not: the page works without
  }
  address = link;
  held = false;
  clearTimeout(holding);
  holding = setTimeout(() => (held = true), HELD_MS - WRITE_MS);
}

/** Go where the address leads, unless the page wrote it. A later link wins. */
async function followAddress() {
  if (location.hash === address || location.hash.length < 2) return;
  const link = (following = {});
  address = location.hash;
  held = false; // what the page makes of the link stands in the link's own entry
  clearTimeout(holding);
  await follow(readLink(address.slice(1)), history.state?.whole);
  await new Promise((done) => setTimeout(done, WRITE_MS));
  if (following !== link) return;
  following = null;
  writeAddress();
  held = true;
}

export function buildAddress() {
  window.addEventListener("hashchange", followAddress);
  subscribe(["view", "picture", "panes", "wipe", "gain", "chain", "paint", "pixel", "pins"], keepAddress);
}
