// @ts-check
// What can be sent: the link, a picture of the view, a page of it, a figure for a paper.

import { $, $$ } from "./dom.js";
import { isDrawing } from "./drawing.js";
import { pixelOf } from "./geometry.js";
import { linkOfView } from "./links.js";
import { saveLooks } from "./look_files.js";
import { isPhone } from "./menus.js";
import { areFinished } from "./passes.js";
import { inspected, lookedAt } from "./pixel.js";
import { savePage } from "./save_page.js";
import { savePicture } from "./save_picture.js";
import { state, subscribe } from "./store.js";

const TITLE = "Any scale, pixel by pixel";
const LOOK_MS = 100; // how often a view is looked at that is not finished

let saving = false;

/** @param {string} text */
function tell(text) {
  $(".share-status").textContent = text;
}

/** By the system's own sheet, where a phone has one. */
const canSend = () => isPhone() && "share" in navigator;

async function sendLink() {
  const url = linkOfView();
  try {
    if (canSend()) return await navigator.share({ title: TITLE, url });
    await navigator.clipboard.writeText(url);
    tell("The link is copied.");
  } catch (error) {
    if (error.name === "AbortError") return; // sent to nobody
    console.warn(error); // a frame that may not
    tell("This browser does not let the page copy: copy the address of the page.");
  }
}

/** Until every pane and every map is there. */
async function untilFinished() {
  while (!areFinished() || isDrawing() || state.looking || state.opening) await new Promise((done) => setTimeout(done, LOOK_MS));
}

/** @param {() => Promise<string | void>} save what a press on a button makes; it may answer with a sentence of failure */
async function save(save) {
  if (saving) return;
  const pressed = /** @type {HTMLElement | null} */ (document.activeElement);
  saving = true;
  showShare();
  tell("Making the file…");
  try {
    await untilFinished();
    tell((await save()) || "The file is saved.");
  } catch (error) {
    console.warn(error);
    tell("The file could not be made: check the connection, then try again.");
  }
  saving = false;
  showShare();
  if (document.activeElement === document.body) pressed?.focus(); // a button that rested lost it
}

/** The held pixel and the pinned ones. */
const figurePixels = () => lookedAt().map(pixelOf);

function saveFigure(event) {
  const suffix = event.currentTarget.value;
  save(() => saveLooks(inspected(), figurePixels(), suffix));
}

/** Why there can be no figure now, if so. */
function figureRests() {
  if (!inspected().length) return "No pane shows a method that looks at neighbours: choose LIIF, LIT or CLIT in one.";
  if (!lookedAt().length) return isPhone() ? "Tap a pixel first: it shows what that looked at." : "Hold a pixel first, by a click: it shows what that looked at.";
  return "";
}

function showShare() {
  for (const button of $$(".share-file")) button.disabled = saving || !state.picture;
  const rests = state.picture ? figureRests() : "";
  for (const button of $$(".share-figure .button")) button.disabled ||= Boolean(rests);
  $("#clit-figure-what").textContent = rests || "What held and pinned pixels looked at, by every method shown and head";
  $(".share-link").disabled = !state.picture;
  $(".share-link b").textContent = canSend() ? "Send the link" : "Copy the link";
  const own = state.picture && !state.picture.example;
  $(".share-link span").textContent = own
    ? "It leads to this page, and not to your own picture: that stays with you"
    : "It opens this very view";
}

export function buildShare() {
  $(".share-link").addEventListener("click", sendLink);
  $(".share-picture").addEventListener("click", () => save(savePicture));
  $(".share-page").addEventListener("click", () => save(savePage));
  for (const button of $$(".share-figure .button")) button.addEventListener("click", saveFigure);
  $(".share").addEventListener("toggle", () => tell(""));
  subscribe(["models", "picture", "panes", "pixel", "pins"], showShare);
  showShare();
}
