// @ts-check
// What pixels looked at, as files that the server writes: the same that the command line does.

import { saveFile } from "./files.js";
import { shownScale, sizeAsked } from "./geometry.js";
import { ask } from "./server.js";
import { state } from "./store.js";

/**
 * Save one: a sentence on what went wrong, if anything did.
 * @param {string[]} models @param {{row: number, column: number, size: any}[]} pixels @param {string} suffix
 */
export async function saveLooks(models, pixels, suffix) {
  const { scale, size } = sizeAsked(shownScale(), pixels[0].size);
  const sizeSent = size && [size.height, size.width];
  const places = pixels.map(({ row, column }) => [row, column]);
  const answer = await ask("look_file", { models, suffix, scale, size: sizeSent, chain: state.chain, pixels: places });
  if (!answer.file) return answer.expired ? "" : (answer.error ?? "");
  saveFile(new Blob([Uint8Array.from(atob(answer.file), (character) => character.charCodeAt(0))]), answer.name);
  return "";
}
