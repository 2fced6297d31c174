// @ts-check
// Maps of which input pixels the picked pixel comes from: what is at hand about it, and maps as pictures.

import { viridis } from "./colours.js";
import { make } from "./dom.js";
import { pickedPixel } from "./geometry.js";
import { shownMethods } from "./panes.js";
import { state } from "./store.js";

/** @import { Window } from "./engine.js" */

/**
 * A map. `values`: what each input pixel of the region adds, its channels together.
 * @typedef {object} TraceMap
 * @property {Window} region the input pixels that can count
 * @property {Float32Array} values row by row
 * @property {number} largest of their sizes
 * @property {number} diffusion index, 0..100
 * @property {number} gap the map's error, as a share
 * @property {number} steps
 * @property {number | null} agreement of its ranks with those of attention
 * @property {Map<boolean, string>} pictures addresses of the map as a picture, see `tracePicture`
 */

/** How far a method's map is. @typedef {{done: number, steps: number, isLast: boolean, map: TraceMap | null}} Trace */

const OPACITY = { most: 0.9, gain: 3 }; // small shares must be seen, and what adds nothing is not veiled

/** What maps would be about now; "" where no pixel is picked. */
export function traceSubject() {
  if (!state.picture || !state.picked) return "";
  const { row, column, size } = pickedPixel();
  return JSON.stringify([state.picture.id, row, column, size, state.chain, state.traces.objective]);
}

/** Names of the methods whose maps are shown. */
export const tracedMethods = () => shownMethods(() => true);

/** The method whose map is painted: the one that was chosen, else the first that attends, else the first network. */
export function chosenTrace() {
  const models = tracedMethods().map((name) => state.models.get(name));
  const chosen = models.find(({ name }) => name === state.traces.chosen);
  return (chosen ?? models.find(({ kind }) => kind === "attention") ?? models.find(({ kind }) => kind !== "plain") ?? models[0])?.name;
}

/** How far a method's map of the pixel that is picked now is. @param {string} name @returns {Trace | undefined} */
export const traceOf = (name) => (state.traces.about === traceSubject() ? state.traces.found.get(name) : undefined);

/** Whether the tab of these maps is the one chosen. */
export const isTracing = () => state.dock.tab === "traces";

/** The map that lies over the input, if one does. @returns {TraceMap | null} */
export const paintedTrace = () => (isTracing() && state.mapPainted && state.picked ? (traceOf(chosenTrace())?.map ?? null) : null);

/** @param {any} found as the server describes a map @returns {TraceMap} */
export function readTraceMap({ map, region: [top, left, bottom, right], ...numbers }) {
  const bytes = new DataView(Uint8Array.from(atob(map), (character) => character.charCodeAt(0)).buffer);
  const values = Float32Array.from({ length: bytes.byteLength / 4 }, (_, i) => bytes.getFloat32(4 * i, true));
  const largest = values.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
  return { region: { top, left, height: bottom - top, width: right - left }, values, largest, pictures: new Map(), ...numbers };
}

/** Where a value stands on the colour scale, 0..1: the square root of its share of the largest. @param {TraceMap} map @param {number} value */
export const traceShade = ({ largest }, value) => Math.sqrt(Math.abs(value) / (largest || 1));

/**
 * A map as a picture, a pixel for each of its region: veiled, opaque where much comes from, to lie over the input; else opaque.
 * @param {TraceMap} map @param {boolean} isVeil
 */
export function tracePicture(map, isVeil) {
  if (!map.pictures.has(isVeil)) {
    const { height, width } = map.region;
    const canvas = make("canvas", { height, width });
    const pixels = new ImageData(width, height);
    map.values.forEach((value, i) => {
      const shade = traceShade(map, value);
      pixels.data.set([...viridis(shade), isVeil ? 255 * Math.min(OPACITY.most, OPACITY.gain * shade) : 255], 4 * i);
    });
    canvas.getContext("2d").putImageData(pixels, 0, 0);
    map.pictures.set(isVeil, canvas.toDataURL());
  }
  return map.pictures.get(isVeil);
}
