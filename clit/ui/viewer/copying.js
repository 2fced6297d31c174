// @ts-check
// Texts to copy.

import { $$ } from "./dom.js";

async function copy(event) {
  const button = event.currentTarget;
  const source = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  } catch (error) {
    console.warn(error); // a frame that may not: the text can still be selected
    getSelection().selectAllChildren(source);
    button.textContent = "Selected: copy it by keyboard";
  }
}

export function buildCopying() {
  for (const button of $$(".copy")) button.addEventListener("click", copy);
}
