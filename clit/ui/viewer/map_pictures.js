// @ts-check
// Maps as pictures: a square per neighbour, a button for each, and the part of the input that they cover.

import { $$, make, svg, svgText } from "./dom.js";
import { css, viridis } from "./colours.js";
import { QUANTITIES, entropy, markPlace, numbersOf, shade } from "./maps.js";
import { clamp } from "./numbers.js";
import { changed, state } from "./store.js";

/** @import { Row, WeightMap } from "./maps.js" */

/** One map as SVG, hatched where it lies outside the picture, with the pixel's own position. @param {Row} row @param {WeightMap} map */
export function mapPicture(row, map) {
  const { stage } = row;
  const n = map.weights.length;
  const picture = svg("svg", { viewBox: `0 0 ${n} ${n}`, class: "map" });
  map.weights.forEach((line, i) =>
    line.forEach((weight, j) => {
      const square = { x: j, y: i, width: 1, height: 1 };
      if (weight === null) picture.append(svg("rect", { ...square, class: "unused" }));
      else picture.append(svg("rect", { ...square, fill: css(viridis(shade(row, map, weight))) }));
      if (!stage.inside[i][j]) picture.append(svg("rect", { ...square, class: "outside" }));
    }),
  );
  picture.append(...positionMark(row));
  picture.addEventListener("pointermove", (event) => hover(event, picture, row, map));
  picture.addEventListener("pointerleave", () => leave());
  return picture;
}

const positionMark = (row) =>
  ["dark", "light"].map((tone) => svg("circle", { class: `position ${tone}`, r: 0.22, ...markPlace(row) }));

/** The same with a number in each square. @param {Row} row @param {WeightMap} map */
export function numberedPicture(row, map) {
  const picture = mapPicture(row, map);
  const { digits } = QUANTITIES[state.quantity];
  const mark = markPlace(row);
  map.weights.forEach((line, i) =>
    line.forEach((weight, j) => {
      if (weight === null) return;
      const [down, across] = [mark.cy - (i + 0.5), mark.cx - (j + 0.5)];
      const hidden = Math.abs(down) < 0.25 && Math.abs(across) < 0.45;
      const place = {
        x: j + 0.5,
        y: i + (hidden ? (down < 0 ? 0.84 : 0.32) : 0.58), // out from under the mark
        class: shade(row, map, weight) > 0.55 ? "number dark" : "number light",
      };
      picture.append(svgText(weight.toFixed(digits).replace(/^0[.]/, "."), place));
    }),
  );
  return picture;
}

/** A map that is drawn large when it is pressed. @param {Row} row @param {WeightMap} map @param {() => void} show */
export function mapButton(row, map, show) {
  const { digits } = QUANTITIES[state.quantity];
  const largest = Math.max(...numbersOf(map)).toFixed(digits);
  const bits = state.quantity === "weights" ? `${entropy(map).toFixed(1)} bits` : "";
  const name = `${row.model.label}, ${row.note}, ${map.name}: largest ${largest}${bits && `, entropy ${bits}`}`;
  const button = make(
    "button",
    {
      type: "button",
      class: "map-button",
      "aria-label": name,
      "data-row": row.key,
      "data-map": row.maps.indexOf(map),
      onclick: show,
    },
    mapPicture(row, map),
  );
  return make(
    "div",
    { class: "map-box" },
    button,
    make(
      "span",
      { class: "largest", title: bits && "Largest weight, and the entropy: 0 bits is one neighbour, 5.6 all of them alike" },
      `max ${largest}`,
      bits && make("span", {}, bits),
    ),
  );
}

/** The part of the input that the maps cover, with the same outline and the same mark. @param {Row} row */
export function patchFigure(row) {
  const n = row.stage.latents.length;
  const pixels = 12 * n;
  const canvas = make("canvas", { width: pixels, height: pixels });
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  const { area } = row;
  const [perY, perX] = [pixels / area.height, pixels / area.width];
  const { bitmap, height, width } = state.picture;
  context.drawImage(bitmap, -area.x * perX, -area.y * perY, width * perX, height * perY);
  const marks = svg("svg", { viewBox: `0 0 ${n} ${n}`, class: "map", "aria-hidden": "true" });
  row.stage.inside.forEach((line, i) =>
    line.forEach((inside, j) => inside || marks.append(svg("rect", { x: j, y: i, width: 1, height: 1, class: "outside" }))),
  );
  marks.append(...positionMark(row));
  const told = make("span", { class: "largest" }, `${Number(area.width.toFixed(2))} px wide`);
  return make("div", { class: "map-box patch" }, canvas, marks, told);
}

/** Say what the neighbour under the pointer has, and mark it in the input. */
function hover(event, picture, row, map) {
  const box = picture.getBoundingClientRect();
  const n = map.weights.length;
  const i = clamp(Math.floor(((event.clientY - box.top) / box.height) * n), 0, n - 1);
  const j = clamp(Math.floor(((event.clientX - box.left) / box.width) * n), 0, n - 1);
  const [y, x] = row.stage.latents[i][j];
  const [height, width] = [row.area.height / n, row.area.width / n];
  state.hovered = { y: y + 0.5 - height / 2, x: x + 0.5 - width / 2, height, width };
  const weight = map.weights[i][j];
  const where = row.stage.inside[i][j] ? `input row ${y.toFixed(2)}, column ${x.toFixed(2)}` : "outside the picture";
  const told = weight === null ? "not used" : weight.toPrecision(3);
  const text = `${row.model.label}, ${row.note}, ${map.name}: ${told} · ${where}`;
  for (const each of $$(".readout")) each.textContent = text;
  changed("hover");
}

function leave() {
  state.hovered = null;
  for (const each of $$(".readout")) each.textContent = "";
  changed("hover");
}
