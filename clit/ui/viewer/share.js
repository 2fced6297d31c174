// @ts-check
// What can be sent: the link, a picture of the view, a page of it.

import { $, $$ } from "./dom.js";
import { isDrawing } from "./drawing.js";
import { linkOfView } from "./links.js";
import { isPhone } from "./menus.js";
import { areFinished } from "./passes.js";
import { savePage } from "./save_page.js";
import { savePicture } from "./save_picture.js";
import { changed, state, subscribe } from "./store.js";

const TITLE = "Any scale, pixel by pixel";
const LOOK_MS = 100; // how often a view is looked at that is not finished

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

/** @param {() => Promise<string | void>} make what a press on a button makes; it may answer with a sentence of failure */
export async function save(make) {
  if (state.sharing) return;
  const pressed = /** @type {HTMLElement | null} */ (document.activeElement);
  state.sharing = true;
  changed("sharing");
  tell("Making the file…");
  try {
    await untilFinished();
    tell((await make()) || "The file is saved.");
  } catch (error) {
    console.warn(error);
    tell("The file could not be made: check the connection, then try again.");
  }
  state.sharing = false;
  changed("sharing");
  await null; // its subscribers come first
  if (document.activeElement === document.body) pressed?.focus(); // a button that rested lost it
}

function showShare() {
  for (const button of $$(".share-file")) button.disabled = state.sharing || !state.picture;
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
  subscribe(["models", "picture", "sharing"], showShare);
  showShare();
}
