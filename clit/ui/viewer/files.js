// @ts-check
// Files that the page gives to whoever looks at it.

import { make } from "./dom.js";
import { shownScale } from "./geometry.js";
import { state } from "./store.js";

const KEPT_MS = 10000; // browsers begin to save a little later

/** @param {Blob} blob @param {string} name */
export function saveFile(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT_MS);
}

/** The name of a file about the present view, without its ending. */
export const nameOfView = () => `${state.picture.name.replace(/[.][^.]*$/, "")}-x${shownScale()}`;
