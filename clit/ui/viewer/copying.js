// @ts-check
// Texts to copy.

import { $$ } from "./dom.js";

/** Copy a text; where a frame may not, its element is selected. @param {string} text @param {HTMLElement} element @returns {Promise<string>} what has been done */
export async function copyText(text, element) {
  try {
    await navigator.clipboard.writeText(text);
    return "Copied";
  } catch (error) {
    console.warn(error);
    getSelection().selectAllChildren(element);
    return "Selected: copy it by keyboard";
  }
}

async function copy(event) {
  const button = event.currentTarget;
  const source = button.parentElement.querySelector("code");
  button.textContent = await copyText(source.textContent, source);
}

export function buildCopying() {
  for (const button of $$(".copy")) button.addEventListener("click", copy);
}
