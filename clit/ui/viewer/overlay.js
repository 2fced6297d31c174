// @ts-check
// What lies over the pictures: the chosen map over its neighbours, the pixel that looked at them, pinned ones, and the
// neighbour under the pointer.

import { css, viridis } from "./colours.js";
import { svg, svgText } from "./dom.js";
import { lrToScreen, middleOf, pixelOf } from "./geometry.js";
import { chosenMap, lookRows, shading } from "./maps.js";
import { modelOf } from "./models.js";
import { clamp } from "./numbers.js";
import { inspected, shownPixel } from "./pixel.js";
import { state } from "./store.js";

/** @import { Row, WeightMap } from "./maps.js" */
/** @import { Size } from "./numbers.js" */
/** @import { Pane } from "./panes.js" */
/** @import { LookedAt, Place } from "./store.js" */

const OPACITY = { most: 0.85, gain: 1.35 }; // an even half would veil white paper and be lost on a dark tower

/** @param {Pane} pane */
export function drawOverlay(pane) {
  pane.overlay.replaceChildren();
  delete pane.overlay.dataset.painted;
  if (!state.picture || !pane.empty.hidden) return;
  const place = state.places?.list[state.places.at];
  if (place) drawCorners(pane.overlay, place);
  const pixel = shownPixel();
  const chosen = pixel && state.mapPainted ? paintedMap(pane, pixel) : null;
  if (chosen) paintMap(pane.overlay, chosen.row, chosen.map);
  state.pins.forEach((pin, index) => drawPin(pane.overlay, pin, index + 1));
  if (!pixel) return;
  if (chosen) {
    const { row, column } = pixel.looks.get(chosen.row.model.name);
    pane.overlay.dataset.painted = `${row} ${column}`;
    const stages = pane.model === "input" ? windowBoxes(pixel) : [];
    const own = { ...chosen.row.area, label: "" };
    for (const box of stages.length ? stages : [own]) outline(pane.overlay, box, "window", box.label);
  }
  if (state.hovered && pane.model === "input") outline(pane.overlay, state.hovered, "hovered");
  markPixel(pane.overlay, pixel, chosen?.row.area);
}

/** @param {LookedAt} pixel @returns {Row[]} */
const weightRows = (pixel) =>
  inspected()
    .filter((name) => pixel.looks.has(name))
    .flatMap((name) => lookRows(state.models.get(name), pixel.looks.get(name), pixel, "weights"));

/**
 * What is painted over a pane: the same stage and head of its own method as the one that is chosen, as far as it has them;
 * over the input, the chosen one. Always weights: a logit is no share of anything.
 * @param {Pane} pane @param {LookedAt} pixel @returns {{row: Row, map: WeightMap} | null}
 */
function paintedMap(pane, pixel) {
  const rows = weightRows(pixel);
  if (!rows.length) return null;
  const chosen = chosenMap(rows);
  if (pane.model === "input") return chosen;
  const model = modelOf(pane.model);
  const own = rows.filter((row) => row.model.name === model?.of).slice(0, model?.stop ?? Infinity);
  if (!own.length) return null;
  const row = own[Math.min(chosen.row.index, own.length - 1)];
  return { row, map: row.maps[chosen.row.maps.indexOf(chosen.map)] ?? row.maps[0] };
}

/** @param {any} overlay @param {Row} row @param {WeightMap} map */
function paintMap(overlay, { area, stage }, map) {
  const n = map.weights.length;
  const shade = shading(map, "weights");
  const edges = Array.from({ length: n + 1 }, (_, i) =>
    lrToScreen(area.y + (i * area.height) / n, area.x + (i * area.width) / n),
  );
  const squares = svg("g", { class: "painted" });
  map.weights.forEach((line, i) =>
    line.forEach((weight, j) => {
      const [from, to] = [edges[i], edges[i + 1]];
      const square = { y: from.y, x: edges[j].x, height: to.y - from.y, width: edges[j + 1].x - edges[j].x };
      if (weight !== null) {
        const place = shade(weight);
        const opacity = Math.min(OPACITY.most, OPACITY.gain * place).toFixed(3);
        squares.append(svg("rect", { ...square, fill: css(viridis(place)), "fill-opacity": opacity }));
      }
      if (!stage.inside[i][j]) squares.append(svg("rect", { ...square, class: "outside" }));
    }),
  );
  overlay.append(squares);
}

/**
 * Mark a pixel: with ticks beside its window, where there is one, so that what is painted stays free.
 * @param {any} overlay @param {Place} place @param {Place & Size} [area] the window, in LR pixels
 */
function markPixel(overlay, place, area) {
  const { row, column, size } = pixelOf(place);
  const height = state.picture.height / size.height;
  const width = state.picture.width / size.width;
  const box = { y: row * height, x: column * width, height, width };
  const { y, x } = lrToScreen(box.y + height / 2, box.x + width / 2);
  const isLarge = state.view.magnification >= 6;
  if (isLarge) outline(overlay, box, "pixel");
  if (!area) return isLarge || stroke(overlay, "cross", `M${x - 11} ${y}h7m8 0h7M${x} ${y - 11}v7m0 8v7`);
  const from = lrToScreen(area.y, area.x);
  const to = lrToScreen(area.y + area.height, area.x + area.width);
  stroke(overlay, "cross", `M${from.x - 10} ${y}h7M${to.x + 3} ${y}h7M${x} ${from.y - 10}v7M${x} ${to.y + 3}v7`);
  if (isLarge) return;
  for (const [tone, r] of [["dark", 3], ["light", 2]]) overlay.append(svg("circle", { class: `dot ${tone}`, cx: x, cy: y, r }));
}

/** @param {any} overlay @param {string} kind @param {string} d */
function stroke(overlay, kind, d) {
  for (const tone of ["dark", "light"]) overlay.append(svg("path", { class: `${kind} ${tone}`, d }));
}

/** The nearest point that can be seen: a place may be larger than the pane. @param {Place} point in screen pixels */
const inPane = ({ y, x }) => ({ y: clamp(y, 3, state.pane.height - 3), x: clamp(x, 3, state.pane.width - 3) });

/** The four corners of a place, so that nothing lies on what is seen there. @param {any} overlay @param {Size & {top: number, left: number}} place in LR pixels */
function drawCorners(overlay, { top, left, height, width }) {
  const from = inPane(lrToScreen(top, left));
  const to = inPane(lrToScreen(top + height, left + width));
  const arm = Math.min(18, (to.x - from.x) / 4, (to.y - from.y) / 4);
  const corner = (x, y, across, down) => `M${x + across} ${y}h${-across}v${down}`;
  const corners = [corner(from.x, from.y, arm, arm), corner(to.x, from.y, -arm, arm), corner(from.x, to.y, arm, -arm), corner(to.x, to.y, -arm, -arm)];
  stroke(overlay, "place", corners.join(""));
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

/** One rectangle per attention stage, in LR pixels: the stage's window with the latents' own areas. @param {LookedAt} pixel */
function windowBoxes(pixel) {
  const boxes = new Map();
  for (const row of weightRows(pixel)) {
    if (row.numbers) continue;
    const label = row.note.startsWith("stage") || boxes.size ? `stage ${row.index + 1}` : "";
    boxes.set(`${row.area.y} ${row.area.x} ${row.area.height}`, { ...row.area, label });
  }
  return [...boxes.values()];
}
