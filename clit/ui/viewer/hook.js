// @ts-check
// A window for tests and for the curious; nothing here changes anything.

import { nextAhead } from "./ahead.js";
import { isDrawing } from "./drawing.js";
import { origin, outputSize, pickedPixel, pixelOf, shownScale } from "./geometry.js";
import { isLoupeOn, loupeFactor, loupeWindow } from "./loupe.js";
import { shownPanes } from "./panes.js";
import { state } from "./store.js";
import { traceOf } from "./trace_maps.js";

function base64(data) {
  let text = "";
  for (let at = 0; at < data.length; at += 8192) text += String.fromCharCode(...data.subarray(at, at + 8192));
  return btoa(text);
}

const rgba = (canvas) => base64(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data);
const paneOf = (model) => state.panes.find((pane) => pane.model === model);

function panePixels(model) {
  const frame = paneOf(model).frames.findLast((each) => each.pass === "exact");
  if (!frame) return null;
  const canvas = new OffscreenCanvas(frame.window.width, frame.window.height);
  canvas.getContext("2d").drawImage(frame.bitmap, 0, 0);
  return { scale: frame.scale, size: frame.size, window: frame.window, rgba: rgba(canvas) };
}

function canvasPixels(model) {
  const { canvas } = paneOf(model);
  return { height: canvas.height, width: canvas.width, corner: origin(outputSize(shownScale())), rgba: rgba(canvas) };
}

function loupePixels(model) {
  return isLoupeOn() ? { ...loupeWindow(), factor: loupeFactor(), rgba: rgba(paneOf(model).loupe) } : null;
}

export const readOnlyHook = Object.freeze({
  panePixels,
  canvasPixels,
  loupePixels,
  view: () => ({ ...state.view, scale: shownScale(), wanted: state.wanted, pane: { ...state.pane } }),
  picture: () => state.picture && { id: state.picture.id, height: state.picture.height, width: state.picture.width },
  // Between a change and the next frame the panes still show, and are marked with, what was there before.
  passes: () => Object.fromEntries(shownPanes().map((pane) => [pane.model, isDrawing() ? "drawing" : pane.element.dataset.pass])),
  // Which of two panes in one place is seen, 0 or 1.
  blink: () => state.blink,
  // The place shown, of those where two methods differ most.
  place: () => structuredClone(state.places?.list[state.places.at] ?? null),
  drawnAhead: () => !state.drawingAhead && !nextAhead(),
  scores: () => [...state.scores].map(([model, found]) => [model, [...found]]),
  // "row column" of the pixel whose map lies over each pane.
  painted: () => Object.fromEntries(shownPanes().map(({ model, overlay }) => [model, overlay.dataset.painted ?? null])),
  picked: () => state.picked && pickedPixel(),
  look: (model) => structuredClone(state.looks.get(model) ?? null),
  // How far a method's map of the input pixels behind the picked one is.
  trace: (model) => {
    const found = traceOf(model);
    return found ? { ...found, map: found.map && { ...found.map, values: [...found.map.values], pictures: null } } : null;
  },
  pins: () => state.pins.map((pin) => ({ ...pixelOf(pin), looks: [...pin.looks.keys()] })),
});
