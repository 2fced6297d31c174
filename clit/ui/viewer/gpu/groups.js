// @ts-check
// Output pixels in the order of their nearest latents, in groups that a workgroup draws together: the pixels of a latent
// share its window, so what is made of the window is made once.

/** @import { StageAxis } from "./tables.js" */

export const LATENTS = 8; // of a group at most: three bits of a slot
export const EMPTY = 0xffffffff;

/** Pixels that lie nearest to the same latent. @param {number[]} nearest ascending */
function runsOf(nearest) {
  const runs = [];
  for (let start = 0, i = 1; i <= nearest.length; i += 1) {
    if (i < nearest.length && nearest[i] === nearest[start]) continue;
    runs.push({ latent: nearest[start], start, stop: i });
    start = i;
  }
  return runs;
}

/**
 * slots: (groups, pixels), a pixel of the part (row * columns + column) times 8 plus which of the group's latents is its
 * nearest, or EMPTY. bases: (groups, 8), `base` of these latents, or EMPTY.
 * @param {StageAxis} rows @param {StageAxis} columns @param {(y: number, x: number) => number} base @param {number} pixels of a group
 */
export function groupPixels(rows, columns, base, pixels) {
  const across = runsOf(columns.nearest);
  const width = columns.nearest.length;
  /** @type {number[]} */
  const slots = [];
  /** @type {number[]} */
  const bases = [];
  const isFull = (list, n) => list.length % n === 0;
  const fill = (list, n) => {
    while (!isFull(list, n)) list.push(EMPTY);
  };
  for (const down of runsOf(rows.nearest)) {
    for (const { latent, start, stop } of across) {
      let isNew = true;
      for (let row = down.start; row < down.stop; row += 1) {
        for (let column = start; column < stop; column += 1) {
          if (isFull(slots, pixels) || (isNew && isFull(bases, LATENTS))) { // the next group
            fill(slots, pixels);
            fill(bases, LATENTS);
            isNew = true;
          }
          if (isNew) bases.push(base(down.latent, latent));
          isNew = false;
          slots.push((row * width + column) * LATENTS + ((bases.length - 1) % LATENTS));
        }
      }
    }
  }
  fill(slots, pixels);
  fill(bases, LATENTS);
  return { slots: Uint32Array.from(slots), bases: Uint32Array.from(bases), count: slots.length / pixels };
}

/** Pixels of a group where so many lie nearest to a latent. @param {number} density */
export function groupSize(density) {
  if (density < 4) return 32;
  return density < 9 ? 64 : 128;
}
