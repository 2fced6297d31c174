// @ts-check
// Numbers, and how they are written.

/** @param {number} value @param {number} low @param {number} high */
export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** @typedef {{height: number, width: number}} Size */

/** @param {Size} a @param {Size} b */
export const sameSize = (a, b) => a.height === b.height && a.width === b.width;

/** "×2.50", "×12". @param {number} scale */
export const times = (scale) => "×" + (scale < 10 ? scale.toFixed(2) : scale.toFixed(1).replace(/[.]0$/, ""));

/** "0.03 s", "0.4 s", "12 s": of a computation that is over. @param {number} milliseconds */
export function seconds(milliseconds) {
  const taken = milliseconds / 1000;
  return `${taken >= 9.95 ? Math.round(taken) : taken >= 0.095 ? taken.toFixed(1) : Math.max(taken, 0.01).toFixed(2)} s`;
}

/** "40 s", "3 min". @param {number} seconds */
export const duration = (seconds) =>
  seconds < 90 ? `${Math.max(1, Math.round(seconds))} s` : `${Math.round(seconds / 60)} min`;

/** Python's round: halves go to the even neighbour. Sizes must agree with the server's to the pixel. @param {number} value */
export function roundHalfEven(value) {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}
