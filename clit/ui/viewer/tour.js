// @ts-check
// A tour of four stops, in a bar on the picture's lower edge. Each sets picture, place, scale and panes itself; only its
// button goes on. Who ends it early is back where it began.

import { foldSheet, showTab } from "./dock.js";
import { $ } from "./dom.js";
import { enlarge, shownRows } from "./inspector.js";
import { readLink, writeLink } from "./links.js";
import { entropy } from "./maps.js";
import { closeMenus, isPhone } from "./menus.js";
import { modelOf } from "./models.js";
import { pickPlace } from "./pixel.js";
import { state, subscribe } from "./store.js";
import { changeView } from "./view.js";
import { follow } from "./visits.js";

const SEEN_KEY = "clit-tour";
const LEARNED = "lit-light"; // whose head the second stop chooses

/**
 * @typedef {object} Stop
 * @property {string} text
 * @property {string} [briefly] the same where no map is drawn large
 * @property {string} [link] where it leads, as it stands behind # in a link; without one, all stays
 * @property {string[]} [panes] methods of the link, which must be there
 * @property {boolean} [picks] whether the example's telling pixel is picked
 * @property {string} [action] the button's word, in place of Next
 * @property {() => void} [act] what it does before it goes on
 */

/** @type {Stop[]} */
const STOPS = [
  {
    link: "example=letters.png&scale=12&wipe=0.5",
    panes: ["bicubic", "lit-light"],
    text: "The same small picture, twelve times larger: at the left by bicubic, at the right by LIT. Drag the handle.",
  },
  {
    link: "example=letters.png&scale=12",
    panes: ["liif-light", "lit-light"],
    picks: true,
    text:
      "One pixel of the letter. LIIF blends its four neighbours by distance alone. LIT weighs forty-nine, each head in its own way; " +
      "the one drawn large looks furthest.",
    briefly: "One pixel of the letter. LIIF blends its four neighbours by distance alone. LIT weighs forty-nine, each head in its own way.",
  },
  {
    link: "example=letters.png&scale=12&wipe=0.5",
    panes: ["lit-light", "lit-light-no-bias"],
    text: "At the left LIT, at the right LIT trained without knowing where its neighbours lie: dots and halos appear. Drag the handle.",
  },
  {
    link: "example=letters.png&scale=12",
    panes: ["bicubic", "liif-light", "lit-light", "clit-light"],
    text: "Your turn: choose a small picture of your own. It is forgotten when you leave.",
    action: "Choose a picture",
    act: () => $(".upload-input").click(),
  },
];

/** @type {Stop[]} */
let stops = [];
let at = -1; // which one is shown; none before and after
/** @type {{link: string, whole: string} | null} where the tour began */
let start = null;
let isHeadWanted = false; // as soon as it is known where the pixel looked

// Some frames may not store anything: the button then stays marked.
function remembered() {
  try {
    return localStorage.getItem(SEEN_KEY) === "seen";
  } catch {
    return false;
  }
}

function remember() {
  $(".tour-begin").dataset.fresh = "no";
  try {
    localStorage.setItem(SEEN_KEY, "seen");
  } catch (error) {
    console.warn(error);
  }
}

function endTour() {
  at = -1;
  isHeadWanted = false;
  $(".tour").hidden = true;
}

/** End the tour where it began. */
function leave() {
  endTour();
  if (start) follow(readLink(start.link), start.whole);
}

/** @param {number} next */
async function goTo(next) {
  at = next;
  isHeadWanted = false;
  const stop = stops[at];
  $(".tour").hidden = false;
  $(".tour .step").textContent = `${at + 1} of ${stops.length}`;
  $(".tour p").textContent = isPhone() ? (stop.briefly ?? stop.text) : stop.text;
  $(".tour-next").textContent = stop.action ?? "Next";
  if (!stop.picks) foldSheet(); // the picture is what matters
  if (!stop.link) return;
  await follow(readLink(`${stop.link}&panes=${stop.panes}`));
  if (stops[at] !== stop || !state.picture?.place) return; // gone on meanwhile
  const { row, column } = state.picture.place;
  changeView({ y: row, x: column });
  if (!stop.picks) return;
  isHeadWanted = true;
  showTab("attention");
  pickPlace({ y: row, x: column });
}

function goOn() {
  stops[at].act?.();
  if (at + 1 < stops.length) goTo(at + 1);
  else endTour();
}

/** Draw the head large that spreads its weights furthest: the means of LIIF and LIT often look alike. */
function chooseHead() {
  if (!isHeadWanted) return;
  const row = shownRows().find((each) => each.model.name === LEARNED);
  if (!row) return;
  isHeadWanted = false;
  enlarge(row, row.maps.slice(1).reduce((best, each) => (entropy(each) > entropy(best) ? each : best)));
}

export function buildTour() {
  $(".tour-begin").addEventListener("click", () => {
    remember();
    closeMenus();
    start = state.picture && { link: writeLink(), whole: state.picture.whole };
    stops = STOPS.filter(({ panes }) => panes?.every((name) => modelOf(name)?.available) ?? true);
    goTo(0);
  });
  $(".tour-end").addEventListener("click", leave);
  $(".tour-next").addEventListener("click", goOn);
  $(".tour-begin").dataset.fresh = remembered() ? "no" : "yes";
  subscribe(["looks"], chooseHead);
}
