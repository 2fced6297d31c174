// @ts-check
// Where an output pixel lies on a grid of latents, along one axis. The published formulas in float32, one rounding an
// operation: at scales such as 2.5 they decide which of two latents is the nearest.

import { clamp, roundHalfEven } from "./numbers.js";

const f = Math.fround;

/** The centre of pixel i of an axis of n, in the frame from -1 to 1. @param {number} n @param {number} i */
const centreOf = (n, i) => f(f(f(2 / n) * f(i)) + f(-1 + 1 / n));

/** A place in that frame in pixels of an axis of n: the centre of pixel i is at i. @param {number} place @param {number} n */
const toPixels = (place, n) => f(f(f(f(place + 1) * n) - 1) / 2);

/** Where pixel i of an axis of nOut lies in pixels of one of n. @param {number} nOut @param {number} n @param {number} i */
export const placeInPixels = (nOut, n, i) => toPixels(centreOf(nOut, i), n);

/** @param {number} position @param {number} n */
const nearestOf = (position, n) => clamp(roundHalfEven(position), 0, n - 1);

/** The latent, of n of an axis, that is nearest to pixel i of nOut. @param {number} nOut @param {number} n @param {number} i */
export const nearestLatent = (nOut, n, i) => nearestOf(placeInPixels(nOut, n, i), n);

/** @typedef {{index: [number, number], weight: [number, number]}} Taps of linear interpolation; outside the axis is zero */

/** @param {number} position @param {number} n @returns {Taps} */
function tapsAt(position, n) {
  const low = Math.floor(position);
  const part = f(position - low);
  const counts = (i) => (i >= 0 && i < n ? 1 : 0);
  return { index: [low, low + 1], weight: [f(1 - part) * counts(low), part * counts(low + 1)] };
}

/**
 * Pixel i of an output of nOut over n latents: its nearest latent, its place relative to those of the window, and between
 * which two it lies. @param {number} nOut @param {number} n @param {number} i @param {number} radius
 */
export function placeOnStage(nOut, n, i, radius) {
  const centre = centreOf(nOut, i);
  const position = toPixels(centre, n);
  const nearest = nearestOf(position, n);
  const latent = centreOf(n, nearest);
  const relativeTo = (step) => f(f(centre - f(latent + f(step * f(2 / n)))) * n);
  const relative = Array.from({ length: 2 * radius + 1 }, (_, k) => relativeTo(k - radius));
  return { nearest, relative, taps: tapsAt(position, n) };
}

/** The two latents beside pixel i of an output of nOut over n latents, and its place relative to each. @param {number} nOut @param {number} n @param {number} i */
export function placeBetween(nOut, n, i) {
  const centre = centreOf(nOut, i);
  return [-1, 1].map((side) => {
    const moved = clamp(f(centre + f(side * (1 / n) + 1e-6)), f(-1 + 1e-6), f(1 - 1e-6));
    const nearest = nearestOf(toPixels(moved, n), n);
    return { nearest, relative: f(f(centre - centreOf(n, nearest)) * n) };
  });
}

/** What point i of a grid of nGrid is interpolated from, of an axis of n; nothing for points outside the grid. @param {number} n @param {number} nGrid @param {number} i @returns {Taps} */
export function tapsOfPoint(n, nGrid, i) {
  const { index, weight } = tapsAt(toPixels(centreOf(nGrid, i), n), n);
  const counts = i >= 0 && i < nGrid ? 1 : 0;
  return { index: [clamp(index[0], 0, n - 1), clamp(index[1], 0, n - 1)], weight: [weight[0] * counts, weight[1] * counts] };
}

/** Between which two pixels of an axis of n pixel i of an output of nOut lies; beyond the border its last pixel goes on. @param {number} nOut @param {number} n @param {number} i @returns {Taps} */
export function tapsOfBorder(nOut, n, i) {
  const position = clamp(toPixels(centreOf(nOut, i), n), 0, n - 1);
  const low = Math.floor(position);
  const part = f(position - low);
  return { index: [low, Math.min(low + 1, n - 1)], weight: [f(1 - part), part] };
}
