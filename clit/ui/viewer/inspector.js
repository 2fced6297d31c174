// @ts-check
// What the picked pixel looked at, in the dock: the mean of every method and stage, the heads of the chosen one, and one
// map large with numbers.

import { viridisStops } from "./colours.js";
import { $, $$, make, root, svg } from "./dom.js";
import { pickedPixel, shownScale } from "./geometry.js";
import { viewerKey } from "./input.js";
import { mapButton, numberedPicture } from "./map_pictures.js";
import { QUANTITIES, lookRows, numbersOf } from "./maps.js";
import { isPhone } from "./menus.js";
import { shortLabel } from "./models.js";
import { times } from "./numbers.js";
import { inspected, isPinned, pin, unpick } from "./pixel.js";
import { changed, state, subscribe } from "./store.js";

/** @import { Row, WeightMap } from "./maps.js" */

const GAP = 6; // between maps of a strip
const SQUARES = 7; // a side of a map; its pixels are a multiple of that, so that all squares are alike
const LEAST_SMALL = 28; // pixels a side of a map of a strip

/** Every row that the picked pixel's looks have. @returns {Row[]} */
export const pickedRows = () =>
  inspected()
    .filter((name) => state.looks.has(name))
    .flatMap((name) => lookRows(state.models.get(name), state.looks.get(name), state.picked));

/** Choose the map that is drawn large. @param {Row} row @param {WeightMap} map */
export function enlarge(row, map) {
  state.enlarged = { row: row.key, map: row.maps.indexOf(map) };
  changed("maps");
}

/** The row and the map drawn large: the chosen one, else the first that is attention. @param {Row[]} rows */
function largeMap(rows) {
  const named = rows.find((each) => each.key === state.enlarged.row);
  const row = named ?? rows.find((each) => !each.numbers) ?? rows[0];
  return { row, map: row.maps[named ? state.enlarged.map : 0] ?? row.maps[0] };
}

function emptyText() {
  if (!state.picture) return "";
  if (!state.picked) return "Click a pixel in any pane to see the neighbours it looked at, and how much each counted.";
  if (!inspected().length) return "No pane shows a method that looks at neighbours: choose LIIF, LIT or CLIT in one of them.";
  const missing = QUANTITIES[state.quantity].label.toLowerCase();
  const known = inspected().some((name) => state.looks.has(name));
  return known && !pickedRows().length ? `LIIF and LTE weigh by distance: there is no logit, and so no ${missing}, to take apart.` : "";
}

function showInspector() {
  const inspector = $(".inspector");
  inspector.dataset.open = state.picked ? "yes" : "no";
  inspector.dataset.busy = state.looking ? "yes" : "no";
  $(".inspector .empty").textContent = emptyText();
  $(".pin-toggle").setAttribute("aria-pressed", String(isPinned()));
  for (const button of $$(".asks .button")) button.setAttribute("aria-pressed", String(button.value === state.quantity));
  const rows = state.picked ? pickedRows() : [];
  if (state.picked) showPixel();
  $(".large .enlarged").hidden = !rows.length;
  $(".ruler").hidden = !rows.length;
  if (rows.length) showMaps(rows);
  else for (const each of [".means", ".heads", ".enlarged", ".large-title", ".map-note"]) $(each).replaceChildren();
}

function showPixel() {
  const { row, column, size } = pickedPixel();
  $(".picked").textContent = `Row ${row}, column ${column}`;
  $(".picked").title = `Row ${row} of ${size.height}, column ${column} of ${size.width}, at ${times(shownScale())}`;
}

/** @param {Row[]} rows */
function showMaps(rows) {
  const { row, map } = largeMap(rows);
  const focused = $$(".inspector .map-button").indexOf(document.activeElement);
  $(".means").replaceChildren(...rows.map((each) => meanFigure(each, each === row)));
  const heads = row.maps.slice(1);
  $(".heads").replaceChildren(...heads.map((each) => mapFigure(row, each, make("figcaption", {}, capitalise(each.name)), each === map)));
  sizeStrips(rows.length, heads.length);
  if (focused >= 0) ($$(".inspector .map-button")[focused] ?? $(".panes")).focus(); // walking goes on
  showLarge(row, map);
}

const capitalise = (text) => text[0].toUpperCase() + text.slice(1);

/** The first map of a row stands for it, with the colour that the method gave the pixel. @param {Row} row @param {boolean} chosen */
function meanFigure(row, chosen) {
  const [, stage] = /^stage (\d+)/.exec(row.note) ?? [];
  const name = `${shortLabel(row.model)}${stage ? ` ${stage}` : ""}`;
  const swatch = row.rgb && make("i", { style: `background: rgb(${row.rgb.join(" ")})`, title: `The colour it gave this pixel: ${row.rgb.join(" ")}` });
  return mapFigure(row, row.maps[0], make("figcaption", { title: row.model.about }, swatch, make("b", {}, name)), chosen);
}

function mapFigure(row, map, caption, chosen) {
  const box = mapButton(row, map, () => enlarge(row, map));
  box.querySelector("button").setAttribute("aria-pressed", String(chosen));
  return make("figure", {}, caption, box);
}

// As large as they can be side by side.
function sizeStrips(...counts) {
  const inside = $(".inspector").clientWidth - 32;
  [".means", ".heads"].forEach((strip, index) => {
    const share = (inside - GAP * (counts[index] - 1)) / counts[index];
    const most = innerHeight < 700 && !isPhone() ? 63 : (inside - 3 * GAP) / 4; // what leaves the large map its height
    const side = SQUARES * Math.floor(Math.min(Math.max(share, LEAST_SMALL), most) / SQUARES);
    $(strip).style.setProperty("--small", `${side}px`);
    $(strip).dataset.spread = counts[index] > 3 ? "yes" : "no"; // a few stay together
  });
}

function showLarge(row, map) {
  const { note, zero, digits } = QUANTITIES[state.quantity];
  const fromDistance = row.numbers && state.quantity === "weights";
  const heads = row.maps.length - 1;
  const name = map.name === "mean of the heads" ? `mean of ${heads} heads` : map.name;
  const stage = row.note.startsWith("stage") ? `, ${row.note}` : "";
  $(".large-title").replaceChildren(
    `${shortLabel(row.model)}${stage}, ${name}`,
    make("span", {}, ` · ${row.numbers ? "4" : map.weights.length ** 2} neighbours`),
  );
  $(".enlarged").replaceChildren(numberedPicture(row, map));
  $(".map-note").textContent = fromDistance ? "Four weights, from distance; they sum to 1." : note(map.weights.length ** 2);
  const values = (state.sharedScale ? row.maps : [map]).flatMap(numbersOf);
  $(".ruler .most").textContent = Math.max(...values).toFixed(digits);
  $(".ruler .least").textContent = zero ? "0" : Math.min(...values).toFixed(digits);
}

function buildColours() {
  root.style.setProperty("--viridis", `linear-gradient(to right, ${viridisStops})`);
  root.style.setProperty("--viridis-up", `linear-gradient(to top, ${viridisStops})`);
  const hatches = ["clit-hatch", "clit-hatch-soft"].map((id) =>
    svg(
      "pattern",
      { id, width: 0.28, height: 0.28, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      svg("rect", { width: 0.09, height: 0.28 }),
    ),
  );
  root.append(svg("svg", { class: "definitions", "aria-hidden": "true" }, svg("defs", {}, ...hatches)));
}

// The panes' keys work here too, but for Enter, which presses buttons.
function inspectorKey(event) {
  if (state.picked && event.key !== "Enter" && event.key !== " ") viewerKey(event);
}

export function buildInspector() {
  buildColours();
  const ask = ([value, { label }]) => {
    const button = make("button", { type: "button", class: "button", value, "aria-pressed": "false" }, label);
    button.addEventListener("click", () => {
      state.quantity = value;
      changed("maps");
    });
    return button;
  };
  $(".asks").replaceChildren(...Object.entries(QUANTITIES).map(ask));
  $(".unpick").addEventListener("click", unpick);
  $(".pin-toggle").addEventListener("click", pin);
  $(".inspector").addEventListener("keydown", inspectorKey);
  new ResizeObserver(showInspector).observe($(".inspector"));
  subscribe(["picture", "rest", "panes", "pixel", "pins", "looks", "maps", "dock"], showInspector);
}
