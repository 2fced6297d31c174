// @ts-check
// What lies over the pictures: the picked pixel, pinned ones, attention windows, the neighbour under the pointer.

import { svg, svgText } from "./dom.js";
import { latentArea, lrToScreen, middleOf, pickedPixel, pixelOf } from "./geometry.js";
import { state } from "./store.js";

/** @import { Size } from "./numbers.js" */
/** @import { Pane } from "./panes.js" */
/** @import { Place } from "./store.js" */

/** @param {Pane} pane */
export function drawOverlay(pane) {
  pane.overlay.replaceChildren();
  if (!state.picture || !pane.empty.hidden) return;
  state.pins.forEach((pin, index) => drawPin(pane.overlay, pin, index + 1));
  if (!state.picked) return;
  if (pane.model === "input") {
    for (const box of windowBoxes()) outline(pane.overlay, box, "window", box.label);
    if (state.hovered) outline(pane.overlay, state.hovered, "hovered");
  }
  const { row, column, size } = pickedPixel();
  const height = state.picture.height / size.height;
  const width = state.picture.width / size.width;
  const box = { y: row * height, x: column * width, height, width };
  if (state.view.magnification >= 6) return outline(pane.overlay, box, "pixel");
  const { y, x } = lrToScreen(box.y + height / 2, box.x + width / 2);
  for (const tone of ["dark", "light"]) {
    pane.overlay.append(svg("path", { class: `cross ${tone}`, d: `M${x - 11} ${y}h7m8 0h7M${x} ${y - 11}v7m0 8v7` }));
  }
}

function drawPin(overlay, pin, number) {
  const middle = middleOf(pixelOf(pin));
  const at = lrToScreen(middle.y, middle.x);
  for (const tone of ["dark", "light"]) overlay.append(svg("circle", { class: `pin ${tone}`, cx: at.x, cy: at.y, r: 5 }));
  overlay.append(svgText(String(number), { class: "pin-number", x: at.x + 8, y: at.y - 6 }));
}

/** @param {any} overlay @param {Place & Size} box in LR pixels @param {string} kind @param {string} [label] */
function outline(overlay, { y, x, height, width }, kind, label) {
  const from = lrToScreen(y, x);
  const to = lrToScreen(y + height, x + width);
  const box = { x: from.x, y: from.y, width: to.x - from.x, height: to.y - from.y };
  for (const tone of ["dark", "light"]) overlay.append(svg("rect", { class: `${kind} ${tone}`, ...box }));
  if (label && box.width > 60) overlay.append(svgText(label, { class: "window-label", x: box.x + 4, y: box.y + 12 }));
}

/** One rectangle per attention stage, in LR pixels: the stage's window with the latents' own areas. */
function windowBoxes() {
  const boxes = new Map();
  for (const { answer } of state.looks.values()) {
    if (answer.kind !== "attention") continue;
    answer.stages.forEach((stage, index) => {
      const box = latentArea(stage);
      const label = answer.stages.length > 1 || boxes.size ? `stage ${index + 1}` : "";
      boxes.set(`${box.y} ${box.x} ${box.height}`, { ...box, label });
    });
  }
  return [...boxes.values()];
}
