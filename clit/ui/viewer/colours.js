// @ts-check
// Numbers as colours, by the tables that the server has too.

import { DIRECTIONS, DIVERGING, VIRIDIS } from "./colour_tables.js";
import { clamp } from "./numbers.js";

/** @typedef {[number, number, number]} Colour sRGB, 0..255 */

const [LENGTHS, ANGLES] = [17, 96]; // of DIRECTIONS

/** @param {string} table @returns {Colour[]} */
function readTable(table) {
  const bytes = Array.from(atob(table), (character) => character.charCodeAt(0));
  return Array.from({ length: bytes.length / 3 }, (_, i) => [bytes[3 * i], bytes[3 * i + 1], bytes[3 * i + 2]]);
}

const viridisTable = readTable(VIRIDIS);
const divergingTable = readTable(DIVERGING);
const directionsTable = readTable(DIRECTIONS);

/** @param {Colour} colour */
export const css = (colour) => `rgb(${colour.join(" ")})`;

/** Dark blue over green to yellow. @param {number} value in 0..1 */
export const viridis = (value) => viridisTable[Math.round(255 * clamp(value, 0, 1))];

/** Blue, near-black at 0, orange. @param {number} value in -1..1 */
export const diverging = (value) => divergingTable[Math.round(127.5 * (clamp(value, -1, 1) + 1))];

/** The whole scales, for gradients of CSS. */
export const viridisStops = viridisTable.filter((_, i) => i % 15 === 0).map(css).join(", ");

export const divergingStops = divergingTable.filter((_, i) => i % 15 === 0).map(css).join(", ");

/**
 * The colour of an offset: equal lengths look equally bright. Up is yellow, down blue, right red, left green.
 * @param {number} dy @param {number} dx a length of 1 or more is brightest
 */
export function direction(dy, dx) {
  const length = Math.sqrt(Math.min(1, Math.hypot(dy, dx))) * (LENGTHS - 1);
  const angle = ((Math.atan2(dy, dx) / (2 * Math.PI) + 1) % 1) * ANGLES;
  const ring = Math.min(Math.floor(length), LENGTHS - 2);
  const ray = Math.floor(angle) % ANGLES;
  const [along, around] = [length - ring, angle - Math.floor(angle)];
  return [0, 1, 2].map((channel) => {
    const at = (r, a) => directionsTable[r * ANGLES + (a % ANGLES)][channel];
    const inner = at(ring, ray) * (1 - around) + at(ring, ray + 1) * around;
    const outer = at(ring + 1, ray) * (1 - around) + at(ring + 1, ray + 1) * around;
    return Math.round(inner * (1 - along) + outer * along);
  });
}

/** Draw the colours of directions: a disc of the window's whole radius. @param {HTMLCanvasElement} canvas */
export function drawWheel(canvas) {
  const context = canvas.getContext("2d");
  const picture = context.createImageData(canvas.width, canvas.height);
  const radius = canvas.width / 2;
  for (let i = 0; i < canvas.height; i += 1) {
    for (let j = 0; j < canvas.width; j += 1) {
      const [dy, dx] = [(i + 0.5) / radius - 1, (j + 0.5) / radius - 1];
      if (Math.hypot(dy, dx) <= 1) picture.data.set([...direction(dy, dx), 255], 4 * (i * canvas.width + j));
    }
  }
  context.putImageData(picture, 0, 0);
}
