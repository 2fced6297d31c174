// @ts-check
// The open picture: an example, or one that the visitor brings.

import { $, $$, make, root } from "./dom.js";
import { engine } from "./engine.js";
import { outputSize } from "./geometry.js";
import { complain } from "./notice.js";
import { times } from "./numbers.js";
import { unanswered } from "./panes.js";
import { sendFile } from "./server.js";
import { FIRST_SCALE, changed, state, subscribe } from "./store.js";
import { changeView, fit } from "./view.js";

/** @import { Picture, Source } from "./engine.js" */

/** @param {string} text @param {boolean} [busy] */
export function showCaption(text, busy = false) {
  $(".caption").textContent = text;
  $(".pictures").dataset.busy = busy ? "yes" : "no";
}

function describePicture() {
  if (!state.picture) return "";
  const { name, height, width, credit, notice, truth } = state.picture;
  const { title, author, licence } = credit;
  const who = [author, licence].filter(Boolean).join(", ");
  return `${title ?? name}, ${width} × ${height} pixels${truth ? `, made smaller by ${times(truth)}` : ""}${who ? ` · ${who}` : ""}${notice ? ` · ${notice}` : ""}`;
}

/**
 * Show a picture, or none; whatever was known of the last one is forgotten.
 * @param {Picture | null} picture @param {boolean} [same] it is the last one, made smaller or as it was before
 */
export function showPicture(picture, same = false) {
  const before = state.picture;
  state.picture = picture;
  state.size = null;
  state.looks.clear();
  state.picked = null;
  state.pins = [];
  state.ahead.clear();
  state.scores.clear();
  for (const pane of state.panes) Object.assign(pane, unanswered());
  showCaption(describePicture());
  changed("picture", "pixel", "pins", "scores");
  if (!picture) return;
  const { height, width, truth, place } = picture;
  const kept = before?.place && !same ? FIRST_SCALE : state.view.scale; // an example chose its own scale
  if (place && !same) changeView({ scale: place.scale, magnification: 1, y: place.row, x: place.column });
  else changeView({ scale: truth ?? kept, magnification: 1, y: height / 2, x: width / 2 });
  if (truth && outputSize(truth).height < state.pane.height && outputSize(truth).width < state.pane.width) fit();
}

/** Open a picture: whether it is there. Example is its name where it is one. @param {Source} source */
export async function openPicture(source) {
  complain("");
  showCaption("Opening the picture…", true);
  state.opening = true;
  changed("opening");
  const answer = await engine.open(source);
  state.opening = false;
  changed("opening");
  if ("error" in answer) {
    showCaption(describePicture());
    if (answer.error && !answer.expired) complain(answer.error);
    return false;
  }
  showPicture(answer, "truth" in source);
  return true;
}

/** Open an example, where it tells most. @param {string} name */
export const openExample = (name) => openPicture({ example: name });

async function openFile(file) {
  if (!file) return;
  if (file.size > state.limits.upload_bytes) {
    const most = Math.round(state.limits.upload_bytes / 1e6);
    return complain(`This file has ${Math.round(file.size / 1e6)} MB: choose one of at most ${most} MB.`);
  }
  showCaption("Sending the picture…", true);
  let path;
  try {
    path = await sendFile(file);
  } catch (error) {
    console.warn(error);
    showCaption(describePicture());
    return complain("The file could not be sent: check the connection, then choose it again.");
  }
  await openPicture({ path, name: file.name });
}

function showExample() {
  for (const button of $$(".example")) {
    button.setAttribute("aria-pressed", String(button.dataset.name === state.picture?.example));
  }
}

/** @param {{name: string, title: string, thumbnail: string}[]} examples */
export function offerExamples(examples) {
  const buttons = examples.map(({ name, title, thumbnail }) =>
    make(
      "button",
      { type: "button", class: "example", "data-name": name, title, "aria-pressed": "false", onclick: () => openExample(name) },
      make("img", { src: `data:image/webp;base64,${thumbnail}`, alt: title }),
    ),
  );
  $(".examples").replaceChildren(...buttons);
  showExample();
}

export function buildPictures() {
  const input = $(".upload-input");
  input.addEventListener("change", async () => {
    await openFile(input.files[0]);
    input.value = ""; // the same file may be chosen again
  });
  root.addEventListener("dragover", (event) => event.preventDefault());
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    openFile(event.dataTransfer.files[0]);
  });
  subscribe(["picture"], showExample);
}
