// @ts-check
// What can be sent: the link, a picture of the view, a page of it.

import { $, $$ } from "./dom.js";
import { isDrawing } from "./drawing.js";
import { linkOfView } from "./links.js";
import { isPhone } from "./menus.js";
import { areFinished } from "./passes.js";
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
}

function showShare() {
  for (const button of $$(".share-file")) button.disabled = saving || !state.picture;
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
  $(".share").addEventListener("toggle", () => tell(""));
  subscribe(["picture"], showShare);
  showShare();
}
