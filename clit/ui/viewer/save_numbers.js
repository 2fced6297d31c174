// @ts-check
// What the held pixel looked at in numbers, as a file that the server writes.

import { $, make } from "./dom.js";
import { saveLooks } from "./look_files.js";
import { complain } from "./notice.js";
import { inspected } from "./pixel.js";
import { pickedPixel } from "./geometry.js";
import { state, subscribe } from "./store.js";

/** What is drawn large is what is saved, until another is chosen. */
function showSaved() {
  const looks = state.picked ? inspected().filter((name) => state.looks.has(name)) : [];
  $(".save-look").hidden = !looks.length;
  const [large] = state.enlarged.row.split(" ");
  $(".look-model").replaceChildren(...looks.map((name) => make("option", { value: name }, state.models.get(name).label)));
  if (looks.includes(large)) $(".look-model").value = large;
}

async function saveNumbers() {
  $(".look-save").disabled = true;
  complain(await saveLooks([$(".look-model").value], [pickedPixel()], $(".look-suffix").value));
  $(".look-save").disabled = false;
}

export function buildSaveNumbers() {
  $(".look-save").addEventListener("click", saveNumbers);
  subscribe(["picture", "rest", "panes", "pixel", "looks", "maps"], showSaved);
}
