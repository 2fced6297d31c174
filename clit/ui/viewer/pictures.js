// @ts-check
// The open picture: an example, or one that the visitor brings.

import { $, $$, make, root } from "./dom.js";
import { engine } from "./engine.js";
import { outputSize, shownScale } from "./geometry.js";
import { openPictures } from "./menus.js";
import { complain } from "./notice.js";
import { times } from "./numbers.js";
import { unanswered } from "./panes.js";
import { FIRST_SCALE, changed, state, subscribe } from "./store.js";
import { changeView, fit } from "./view.js";

/** @import { Failure, Picture, Source } from "./engine.js" */

/** @param {string} text @param {boolean} [busy] */
export function showCaption(text, busy = false) {
  $(".caption").textContent = text;
  $(".caption").title = text;
  $(".pictures").dataset.busy = busy ? "yes" : "no";
}

/** What the page shows, in a line. */
export const describeView = () => `${describePicture()} · ${times(shownScale())}`;

function describePicture() {
  if (!state.picture) return "";
  const { name, height, width, credit, notice, truth } = state.picture;
  const { title, author, licence } = credit;
  const who = [author, licence].filter(Boolean).join(", ");
  return `${title ?? name}, ${width} × ${height} px${truth ? `, made smaller by ${times(truth)}` : ""}${who ? ` · ${who}` : ""}${notice ? ` · ${notice}` : ""}`;
}

/** Show a picture, or none; whatever was known of the last one is forgotten. @param {Picture | null} picture */
export function showPicture(picture) {
  const before = state.picture;
  state.picture = picture;
  state.size = null;
  state.looks.clear();
  state.picked = null;
  state.pins = [];
  state.ahead.clear();
  state.scores.clear();
  state.parts.clear();
  for (const pane of state.panes) Object.assign(pane, unanswered());
  showCaption(describePicture());
  changed("picture", "pixel", "pins", "scores");
  if (!picture) return;
  const { height, width, truth, place } = picture;
  const kept = before?.whole === picture.whole ? state.view.scale : FIRST_SCALE;
  if (place) changeView({ scale: place.scale, magnification: 1, y: place.row, x: place.column });
  else changeView({ scale: truth ?? kept, magnification: 1, y: height / 2, x: width / 2 });
  if (truth && outputSize(truth).height < state.pane.height && outputSize(truth).width < state.pane.width) fit();
}

let wishes = 0; // pictures asked for; only the last one counts
let turn = Promise.resolve(); // the server opens one after the other
/** @type {Picture | null} what the server has open, where a later wish kept it from being shown */
let unshown = null;

/**
 * Open a picture: whether it is there. Where another is asked for meanwhile, that one is opened instead.
 * @param {() => Promise<Source | Failure>} find where it comes from, once that is known @param {string} [told] what is done meanwhile
 */
async function wish(find, told = "Opening the picture…") {
  const mine = ++wishes;
  complain("");
  showCaption(told, true);
  state.opening = true;
  changed("opening");
  const answer = await openInTurn(mine, find);
  if (mine !== wishes) return false;
  state.opening = false;
  changed("opening");
  const picture = answer && "bitmap" in answer ? answer : unshown;
  unshown = null;
  if (picture) showPicture(picture);
  else showCaption(describePicture());
  if ("error" in answer && answer.error && !answer.expired) complain(answer.error);
  return "bitmap" in answer;
}

/** @param {number} mine @param {() => Promise<Source | Failure>} find @returns {Promise<Picture | Failure>} */
async function openInTurn(mine, find) {
  const source = await find();
  if ("error" in source) return source;
  const answer = turn.then(() => (mine === wishes ? engine.open(source, () => mine !== wishes) : { error: "" }));
  turn = answer.then((opened) => {
    if (mine !== wishes && "bitmap" in opened) unshown = opened;
  });
  return answer;
}

/** @param {Source} source */
export const openPicture = (source) => wish(async () => source);

/** @param {string} name */
export const openExample = (name) => openPicture({ example: name });

/** Open a file of the visitor's own: whether it is there. @param {File} file */
export async function openFile(file) {
  if (file.size > state.limits.upload_bytes) {
    const most = Math.round(state.limits.upload_bytes / 1e6);
    complain(`This file has ${Math.round(file.size / 1e6)} MB: choose one of at most ${most} MB.`);
    return false;
  }
  return wish(() => engine.send(file), "Sending the picture…");
}

function showExample() {
  for (const button of $$(".example")) {
    button.setAttribute("aria-pressed", String(button.dataset.name === state.picture?.example));
  }
  openPictures(false);
  if (!state.picture) return;
  const { bitmap, height, width } = state.picture;
  const side = Math.min(height, width);
  const canvas = make("canvas", { width: 72, height: 72 });
  canvas.getContext("2d").drawImage(bitmap, (width - side) / 2, (height - side) / 2, side, side, 0, 0, 72, 72);
  $(".picture-toggle img").src = canvas.toDataURL();
}

/**
 * @param {{name: string, title: string, thumbnail: string}[]} examples
 * @param {(name: string) => void} choose what a press on one does
 */
export function offerExamples(examples, choose) {
  const buttons = examples.map(({ name, title, thumbnail }) =>
    make(
      "button",
      { type: "button", class: "example", "data-name": name, title, "aria-pressed": "false", onclick: () => choose(name) },
      make("img", { src: `data:image/webp;base64,${thumbnail}`, alt: title }),
    ),
  );
  $(".examples").replaceChildren(...buttons);
  showExample();
}

/** @param {(file: File) => void} choose what is done with a file that a visitor chooses or drops */
export function offerFiles(choose) {
  const input = $(".upload-input");
  input.addEventListener("change", () => {
    if (input.files.length) choose(input.files[0]);
    input.value = ""; // the same file may be chosen again
  });
  root.addEventListener("dragover", (event) => event.preventDefault());
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) choose(event.dataTransfer.files[0]);
  });
}

export function buildPictures() {
  subscribe(["picture"], showExample);
}
